"""What a hub does with its sockets: order, ends, limits, strangers, a lack of descriptors."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest

from openclaw_actors.actorsystem.framing import HEADER_SIZE, Frame, Kind, encode
from openclaw_actors.actorsystem.hub import Hub, listen
from openclaw_actors.actorsystem.limits import DEFAULT_LIMITS, Limits

_WAIT_S = 10.0


class Notes:
    """An owner that writes down what its hub tells."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.undelivered_tokens: list[Any] = []
        self.lost: list[str] = []
        self._changed = asyncio.Event()

    def frame_received(self, sender: str, frame: Frame) -> None:
        self.heard.append(bytes(frame.payload))
        self._changed.set()

    def read_ended(self) -> None:
        self._changed.set()

    def peer_lost(self, key: str) -> None:
        self.heard.append("lost")
        self.lost.append(key)
        self._changed.set()

    def delivered(self, tokens: Iterable[Any]) -> None:
        self._changed.set()

    def undelivered(self, token: Any) -> None:
        self.undelivered_tokens.append(token)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(_WAIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class Party:
    """A hub with its owner."""

    def __init__(self, run_dir: str, name: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self.path = os.path.join(run_dir, name)
        self.notes = Notes()
        self.hub = Hub(asyncio.get_running_loop(), self.notes, limits)
        self.hub.open(self.path, listen(self.path))

    def post(self, target: Party, payload: bytes, token: Any = None) -> bool:
        return self.hub.post(target.path, Kind.TELL, 0, payload, token)


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scene())


def raw(path: str) -> socket.socket:
    """Connect to a hub as something that is none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(path)
    return sock


def hello(path: str) -> bytes:
    return encode(Kind.HELLO, 0, os.fsencode(path))


async def ended(sock: socket.socket) -> None:
    """Wait until the other side has closed the connection."""
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_WAIT_S):
        try:
            assert await loop.sock_recv(sock, 1) == b""
        except ConnectionResetError:
            return  # it closed with something unread


def test_frames_arrive_in_order_on_one_connection_whatever_their_size(run_dir: str) -> None:
    async def scene() -> None:
        one, other = Party(run_dir, "a1"), Party(run_dir, "a2")
        sent = [bytes([number % 251]) * (number * 997 % 200_000) for number in range(100)]
        for payload in sent:
            assert one.post(other, payload)
        await other.notes.until(lambda: len(other.notes.heard) == 100)
        assert other.notes.heard == sent
        assert len(other.hub._incoming) == 1
        one.hub.close()
        other.hub.close()
        assert os.listdir(run_dir) == []

    play(scene)


def test_a_peer_that_is_gone_is_told_at_once_with_what_was_not_sent(run_dir: str) -> None:
    async def scene() -> None:
        one = Party(run_dir, "a1")
        assert one.hub.post(os.path.join(run_dir, "a9"), Kind.TELL, 0, b"x", "token")
        await one.notes.until(lambda: one.notes.lost != [])
        assert one.notes.undelivered_tokens == ["token"]
        assert one.hub.outgoing == {}
        one.hub.close()

    play(scene)


def test_who_sends_to_a_peer_whose_end_it_has_just_seen_is_told_of_it_again(run_dir: str) -> None:
    """In one tick: a frame waits, the connection turns out to be lost, and the owner tries once more."""

    async def scene() -> None:
        here, there = Party(run_dir, "a"), Party(run_dir, "b")
        here.post(there, b"first")
        await there.notes.until(lambda: there.notes.heard == [b"first"])
        link = here.hub.outgoing[there.path]
        there.hub.close()
        here.post(there, b"waits for the end of the tick", token=1)
        link.lost()
        here.post(there, b"once more", token=2)
        here.hub.flush()
        assert here.notes.undelivered_tokens == [1, 2]
        assert here.notes.lost == [there.path, there.path]
        assert not here.hub.outgoing
        here.hub.close()

    play(scene)


def test_what_a_peer_sent_before_its_end_is_heard_before_its_end(run_dir: str) -> None:
    async def scene() -> None:
        one, other = Party(run_dir, "a1"), Party(run_dir, "a2")
        one.post(other, b"question")
        await other.notes.until(lambda: other.notes.heard == [b"question"])
        for number in range(50):
            other.post(one, b"%d" % number)
        other.hub.flush()
        other.hub.close()
        await one.notes.until(lambda: "lost" in one.notes.heard)
        assert one.notes.heard == [*(b"%d" % number for number in range(50)), "lost"]
        one.hub.close()

    play(scene)


def test_last_words_on_a_connection_that_had_not_greeted_are_heard_before_the_end(run_dir: str) -> None:
    async def scene() -> None:
        one, other = Party(run_dir, "a1"), Party(run_dir, "a2")
        one.post(other, b"question")
        await other.notes.until(lambda: other.notes.heard == [b"question"])
        answer = raw(one.path)
        await one.notes.until(lambda: len(one.hub._strangers) == 1)
        answer.sendall(hello(other.path) + encode(Kind.TELL, 0, b"last words"))
        answer.close()
        one.hub.peer_exited(other.path)  # the parent sees the end of the process first
        assert one.notes.heard == [b"last words", "lost"]
        one.hub.close()
        other.hub.close()

    play(scene)


def test_a_full_queue_refuses_and_takes_again_when_the_peer_has_read(run_dir: str) -> None:
    async def scene() -> None:
        limits = Limits(peer_queue=100_000)
        one, other = Party(run_dir, "a1", limits), Party(run_dir, "a2")
        other.hub.set_paused(True)
        taken = 0
        for _ in range(1000):
            if not one.post(other, b"x" * 10_000):
                break
            taken += 1
            one.hub.flush()
        assert 10 <= taken < 1000
        assert one.hub.outgoing[other.path].queued < 100_000 + 262_144
        other.hub.set_paused(False)
        await other.notes.until(lambda: len(other.notes.heard) == taken)
        assert one.post(other, b"again")
        await other.notes.until(lambda: other.notes.heard[-1] == b"again")
        one.hub.close()
        other.hub.close()

    play(scene)


def test_a_queue_is_limited_in_frames_too(run_dir: str) -> None:
    async def scene() -> None:
        one, other = Party(run_dir, "a1", Limits(peer_queue_frames=5)), Party(run_dir, "a2")
        assert [one.post(other, b"x") for _ in range(7)] == [True] * 5 + [False] * 2
        one.hub.close()
        other.hub.close()

    play(scene)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        encode(Kind.TELL, 0, b"no greeting"),
        hello("/r/a7") + b"\xff" * 100,
        hello("/r/a7") + encode(Kind.TELL, 0, b"x" * 2000)[:HEADER_SIZE],
    ],
    ids=["no-frame", "no-greeting", "garbage-after-greeting", "over-the-limit"],
)
def test_what_is_no_frame_ends_its_own_connection_only(run_dir: str, garbage: bytes) -> None:
    async def scene() -> None:
        one, other = Party(run_dir, "a1", Limits(frame=1000)), Party(run_dir, "a2")
        other.post(one, b"before")
        await one.notes.until(lambda: one.notes.heard == [b"before"])
        bad = raw(one.path)
        bad.sendall(garbage)
        await ended(bad)
        bad.close()
        other.post(one, b"after")
        await one.notes.until(lambda: one.notes.heard == [b"before", b"after"])
        assert len(one.hub._incoming) == 1
        assert one.hub._strangers == {}
        one.hub.close()
        other.hub.close()

    play(scene)


def test_a_connection_that_is_cut_within_a_frame_leaves_nothing(run_dir: str) -> None:
    async def scene() -> None:
        one = Party(run_dir, "a1")
        cut = raw(one.path)
        cut.sendall(hello("/r/a7") + encode(Kind.TELL, 0, b"whole") + encode(Kind.TELL, 0, b"y" * 1000)[:500])
        await one.notes.until(lambda: one.notes.heard == [b"whole"])
        cut.close()
        await one.notes.until(lambda: one.hub._incoming == {})
        assert one.notes.heard == [b"whole"]
        one.hub.close()

    play(scene)


def test_a_greeting_with_an_impossible_name_harms_nobody_who_answers_it(run_dir: str) -> None:
    async def scene() -> None:
        one = Party(run_dir, "a1")
        for name in (b"", b"\0abstract", b"/r/" + b"x" * 500, b"/r/\xff\xfe"):
            bad = raw(one.path)
            bad.sendall(encode(Kind.HELLO, 0, name) + encode(Kind.TELL, 0, name))
            await one.notes.until(lambda: name in one.notes.heard)  # noqa: B023 - awaited in this round
            assert one.hub.post(os.fsdecode(name), Kind.TELL, 0, b"answer", name)
            await one.notes.until(lambda: name in one.notes.undelivered_tokens)  # noqa: B023
            bad.close()
        one.hub.close()

    play(scene)


def test_a_connection_that_never_greets_is_closed(run_dir: str) -> None:
    async def scene() -> None:
        one = Party(run_dir, "a1", Limits(greet_s=0.05))
        silent = [raw(one.path)]
        await one.notes.until(lambda: len(one.hub._strangers) == 1)
        silent.append(raw(one.path))  # its time is not up when the first one's is
        for each in silent:
            await ended(each)
            each.close()
        assert one.hub._strangers == {}
        one.hub.close()

    play(scene)


def test_a_paused_hub_reads_nothing_and_goes_on_where_it_stood(run_dir: str) -> None:
    async def scene() -> None:
        one, other = Party(run_dir, "a1"), Party(run_dir, "a2")
        other.post(one, b"first")
        await one.notes.until(lambda: one.notes.heard == [b"first"])
        one.hub.set_paused(True)
        other.post(one, b"second")
        other.hub.flush()
        for _ in range(5):
            await asyncio.sleep(0)
        assert one.notes.heard == [b"first"]
        one.hub.set_paused(False)
        await one.notes.until(lambda: one.notes.heard == [b"first", b"second"])
        one.hub.close()
        other.hub.close()

    play(scene)


def intrude(path: str) -> int:
    """Fork a process of another user that says something to the hub at `path`; return its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            stranger = raw(path)
            stranger.sendall(hello("/r/a7") + encode(Kind.TELL, 0, b"let me in"))
            stranger.recv(1)
        finally:
            os._exit(0)
    return pid


def reap(pid: int) -> None:
    os.waitpid(pid, 0)


def test_another_user_is_not_heard(run_dir: str, caplog: pytest.LogCaptureFixture) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")

    async def scene() -> None:
        one = Party(run_dir, "a1")
        os.chmod(run_dir, 0o755)  # the directory alone would keep others out
        os.chmod(one.path, 0o777)
        pid = intrude(one.path)
        pidfd = os.pidfd_open(pid)
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(pidfd, gone.set)
        await asyncio.wait_for(gone.wait(), _WAIT_S)
        loop.remove_reader(pidfd)
        os.close(pidfd)
        reap(pid)
        assert one.notes.heard == []
        assert one.hub._incoming == {}
        one.hub.close()

    with caplog.at_level(logging.ERROR):
        play(scene)
    assert "another user (uid 65534) was refused" in caplog.text


def test_a_lack_of_descriptors_delays_and_loses_nothing(run_dir: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def scene() -> None:
        one, other = Party(run_dir, "a1"), Party(run_dir, "a2")
        taken: list[int] = []
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (max(int(fd) for fd in os.listdir("/proc/self/fd")) + 8, hard)
        )
        try:
            while True:
                try:
                    taken.append(os.open("/dev/null", os.O_RDONLY))
                except OSError:
                    break
            one.post(other, b"late", "token")
            one.hub.flush()
            assert one.notes.lost == []
        finally:
            for fd in taken:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await other.notes.until(lambda: other.notes.heard == [b"late"])
        one.hub.close()
        other.hub.close()

    play(scene)


def test_a_peer_without_room_for_connections_counts_as_dead_in_the_end(run_dir: str) -> None:
    async def scene() -> None:
        path = os.path.join(run_dir, "a9")
        busy = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        busy.bind(path)
        busy.listen(0)
        waiting = raw(path)  # nobody accepts it
        one = Party(run_dir, "a1", Limits(connect_s=0.1))
        one.hub.post(path, Kind.TELL, 0, b"x", "token")
        await one.notes.until(lambda: one.notes.undelivered_tokens == ["token"])
        assert "a9" in os.listdir(run_dir)  # it may live: its socket is not ours to remove
        waiting.close()
        busy.close()
        one.hub.close()

    play(scene)


def test_the_sockets_of_the_dead_are_removed_in_our_directory_only(run_dir: str) -> None:
    async def scene() -> None:
        elsewhere = os.path.join(run_dir, "sub")
        os.mkdir(elsewhere)
        for directory in (run_dir, elsewhere):
            dead = listen(os.path.join(directory, "a9"))
            dead.close()
        one = Party(run_dir, "a1")
        for directory in (run_dir, elsewhere):
            one.hub.post(os.path.join(directory, "a9"), Kind.TELL, 0, b"x", directory)
        await one.notes.until(lambda: len(one.notes.undelivered_tokens) == 2)
        one.hub.close()
        assert os.listdir(run_dir) == ["sub"]
        assert os.listdir(elsewhere) == ["a9"]

    play(scene)


def test_last_words_are_sent_though_a_flush_is_under_way(run_dir: str) -> None:
    async def scene() -> None:
        one, other = Party(run_dir, "a1"), Party(run_dir, "a2")
        one.post(other, b"earlier")
        under_way, one.hub._dirty = one.hub._dirty, []  # as within `flush`, which comes to this link later
        assert len(under_way) == 1
        one.post(other, b"last words")
        one.hub.flush()
        one.hub.flush_blocking(other.path, 1.0)
        await other.notes.until(lambda: other.notes.heard == [b"earlier", b"last words"])
        one.hub.close()
        other.hub.close()

    play(scene)
