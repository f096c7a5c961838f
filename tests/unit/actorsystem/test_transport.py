"""The mailbox and the loop of one process: one order for everything, limits, watches, threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from thespian.actors import ActorAddress, WakeupMessage, WatchMessage
from thespian.system.transport import (
    ReceiveEnvelope,
    Thespian__Run_Expired,
    TransmitIntent,
    TransmitOnly,
)

from openclaw_actors.actorsystem.address import Address
from openclaw_actors.actorsystem.envelope import Envelope
from openclaw_actors.actorsystem.framing import Frame, Kind
from openclaw_actors.actorsystem.limits import DEFAULT_LIMITS, Limits
from openclaw_actors.actorsystem.transport import UnixTransport
from openclaw_actors.errors import FrameTooLarge

_LONG = timedelta(seconds=10)


@pytest.fixture
def transports(run_dir: str) -> Iterator[Any]:
    """Makes transports, which are closed afterwards."""
    made: list[UnixTransport] = []

    def make(limits: Limits = DEFAULT_LIMITS) -> UnixTransport:
        made.append(UnixTransport(run_dir=run_dir, admin=Address("/r/m"), limits=limits))
        return made[-1]

    yield make
    for each in made:
        each.close()


def gather(transport: UnixTransport, count: int) -> list[Any]:
    """Run until `count` messages came, and return them."""
    found: list[Any] = []

    def handle(envelope: ReceiveEnvelope) -> bool:
        message = envelope.message
        found.append(message.payload if isinstance(message, WakeupMessage) else message)
        return len(found) < count

    assert not isinstance(transport.run(handle, _LONG), Thespian__Run_Expired)
    return found


def test_self_sends_wakeups_and_frames_share_one_order(transports: Any) -> None:
    transport = transports()
    own: ActorAddress = transport.myAddress
    transport.send(own, "sent first")
    transport.frame_received("/r/a1", Frame(Kind.TELL, 0, memoryview(transport.encode("received second"))))
    transport.deliver(Envelope(own, "delivered third"))
    transport._wakeup_due(0, "woken fourth")
    transport.send(own, "sent fifth")
    assert gather(transport, 5) == [
        "sent first",
        "received second",
        "delivered third",
        "woken fourth",
        "sent fifth",
    ]


def test_messages_sent_from_a_handler_come_after_those_that_wait(transports: Any) -> None:
    transport = transports()
    for number in range(3):
        transport.send(transport.myAddress, number)
    found: list[int] = []

    def handle(envelope: ReceiveEnvelope) -> bool:
        found.append(envelope.message)
        if envelope.message < 3:
            transport.send(transport.myAddress, envelope.message + 10)
        return len(found) < 6

    transport.run(handle, _LONG)
    assert found == [0, 1, 2, 10, 11, 12]


def test_wakeups_of_one_moment_come_in_the_order_of_their_requests(transports: Any) -> None:
    transport = transports()
    for number in range(5):
        transport.addWakeup(timedelta(milliseconds=5), number)
    assert gather(transport, 5) == [0, 1, 2, 3, 4]


def test_a_flood_to_oneself_is_limited_and_taken_again_when_handled(transports: Any) -> None:
    transport = transports(Limits(peer_queue_frames=10))
    assert [transport.send(transport.myAddress, n) for n in range(12)] == [True] * 10 + [False] * 2
    assert gather(transport, 10) == list(range(10))
    assert transport.send(transport.myAddress, "again")
    assert gather(transport, 1) == ["again"]


def test_a_mailbox_over_its_limit_stops_reading_until_half_is_handled(transports: Any) -> None:
    transport = transports(Limits(mailbox_frames=10))
    payload = memoryview(transport.encode("x"))
    for _ in range(11):
        transport.frame_received("/r/a1", Frame(Kind.TELL, 0, payload))
    assert transport.hub.paused
    seen: list[bool] = []

    def handle(_envelope: ReceiveEnvelope) -> bool:
        seen.append(transport.hub.paused)
        return len(seen) < 11

    transport.run(handle, _LONG)
    assert not transport.hub.paused


def test_a_mailbox_is_limited_in_bytes_too(transports: Any) -> None:
    transport = transports(Limits(mailbox=10_000))
    transport.frame_received("/r/a1", Frame(Kind.TELL, 0, memoryview(transport.encode("x" * 20_000))))
    assert transport.hub.paused
    gather(transport, 1)
    assert not transport.hub.paused


def test_a_message_over_the_limit_raises_and_names_both_sizes(transports: Any) -> None:
    transport = transports(Limits(frame=100))
    with pytest.raises(FrameTooLarge) as caught:
        transport.send(Address("/r/a1"), "x" * 200)
    assert caught.value.limit == 100
    assert caught.value.size > 200


def test_what_cannot_be_unpickled_is_dropped_and_the_next_message_comes(transports: Any) -> None:
    transport = transports()
    transport.frame_received("/r/a1", Frame(Kind.TELL, 0, memoryview(b"garbage")))
    transport.frame_received("/r/a1", Frame(Kind.HELLO, 0, memoryview(b"again")))
    transport.send(transport.myAddress, "next")
    assert gather(transport, 1) == ["next"]


def test_an_exception_in_a_callback_ends_the_run(transports: Any) -> None:
    transport = transports()
    transport.loop.call_soon(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        transport.run(lambda _envelope: True, _LONG)
    transport.send(transport.myAddress, "x")
    with pytest.raises(ZeroDivisionError):
        transport.run(lambda _envelope: 1 // 0, _LONG)


def test_nothing_is_handled_by_a_timer_that_crashes(transports: Any) -> None:
    transport = transports()
    handled: list[Any] = []

    def crash() -> None:
        transport.end_handling()
        transport.frame_received("/r/a1", Frame(Kind.TELL, 0, memoryview(transport.encode("later"))))
        transport.read_ended()
        transport.abort_run()

    transport.loop.call_soon(crash)
    transport.run(lambda envelope: handled.append(envelope) or True, _LONG)
    assert handled == []


def test_a_watched_descriptor_that_was_closed_and_opened_anew_is_seen(transports: Any) -> None:
    transport = transports()
    first, first_end = os.pipe()
    transport.set_watch([first])
    os.close(first)
    second, second_end = os.pipe()
    assert second == first  # the kernel gives the lowest free number
    transport.set_watch([second])
    os.write(second_end, b"x")
    (message,) = gather(transport, 1)
    assert isinstance(message, WatchMessage)
    assert message.ready == [second]
    for fd in (first_end, second, second_end):
        os.close(fd)


def test_a_watch_names_a_descriptor_twice_or_one_that_is_closed_without_harm(transports: Any) -> None:
    transport = transports()
    reader, writer = os.pipe()
    closed, other = os.pipe()
    os.close(closed)
    os.close(other)
    transport.set_watch([reader, reader, closed])
    os.write(writer, b"x")
    (message,) = gather(transport, 1)
    assert message.ready == [reader]
    os.close(reader)
    os.close(writer)


def test_sends_of_many_threads_all_arrive(transports: Any) -> None:
    receiver, sender = transports(), transports()
    sender._owner_thread = None  # as in a process outside the system

    def work(name: int) -> None:
        for number in range(200):
            sender.scheduleTransmit(None, TransmitIntent(receiver.myAddress, (name, number)))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sender.run(TransmitOnly, _LONG) == 0
    found = gather(receiver, 1600)
    for name in range(8):
        assert [number for who, number in found if who == name] == list(range(200))


def test_an_envelope_shows_the_type_of_its_message_and_none_of_its_text() -> None:
    envelope = Envelope(Address("/r/a1"), "user text")
    assert "user text" not in str(envelope.identify())


def test_who_is_gone_is_forgotten(transports: Any) -> None:
    transport = transports()
    for number in range(5):
        sender = f"{transport.run_dir}/gone-{number}"
        transport.frame_received(sender, Frame(Kind.TELL, 0, memoryview(transport.encode("hello"))))
        transport.peer_lost(sender)
    transport.addWakeup(timedelta(0), "then")

    assert gather(transport, 6) == ["hello"] * 5 + ["then"]
    assert transport._senders == {}
