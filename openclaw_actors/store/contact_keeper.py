"""Decides when changes of contacts are written, together with what else waits, and what follows when the disk fails.

Lives in the event loop; the disk is touched in one thread of its own. Changes of one number are written in their order.
A change that failed in every attempt is refused; a STOP is remembered nevertheless, and tried for ever, since the
person has said it whatever our disk does.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from openclaw_actors.messages.contacts import Contact
from openclaw_actors.store.contacts import Change, Contacts
from openclaw_actors.store.failures import StoreRefusal, unavailable
from openclaw_actors.store.options import Counters, StoreOptions

__all__ = ["ContactKeeper"]

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_MAX_WAITING = 10_000
_MAX_BATCH = 256
_FULL = "too many changes of contacts wait for the disk"


@dataclass(slots=True, eq=False)
class _Pending:
    """A change that is not on the disk yet."""

    change: Change
    future: asyncio.Future[Contact] | None
    """None: nobody waits any more; it is tried for ever."""
    attempts: int = 0


class ContactKeeper:
    """Reads and changes contacts for many askers at once.

    Args:
        report: told of each commit's outcome: why the disk did not take it, or an empty text.
    """

    def __init__(
        self, contacts: Contacts, options: StoreOptions, counters: Counters, report: Callable[[str], None]
    ) -> None:
        self._contacts = contacts
        self._options = options
        self._counters = counters
        self._writing_since = 0.0
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-contacts")
        self._waiting: dict[str, deque[_Pending]] = {}
        self._ready: dict[str, None] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._count = 0
        self._writing: list[tuple[str, _Pending]] = []
        self._forgot_a_stop = False

    @property
    def busy(self) -> bool:
        """Whether anything waits for the disk."""
        return bool(self._waiting)

    async def get(self, phone: str) -> Contact:
        """What is known of a number.

        Raises:
            StoreRefusal: `bad_key`, `unavailable`.
        """
        return self._as_remembered(await self._in_thread(lambda: self._contacts.load(phone)))

    async def touch(self, phone: str, at: float) -> Contact:
        """Note that a number wrote; returns when the disk has it.

        Raises:
            StoreRefusal: `bad_key`, `persistence_failed`.
        """
        return await self._change(Change(phone, at))

    async def set_do_not_text(
        self, phone: str, *, do_not_text: bool, at: float, message_id: str = ""
    ) -> Contact:
        """Note that a number said STOP or START; returns when the disk has it.

        Args:
            at: Unix time, seconds.
            message_id: of the message that said so; a repetition of it changes nothing.

        Raises:
            StoreRefusal: `bad_key`, `persistence_failed`.
        """
        return await self._change(Change(phone, at, "stop" if do_not_text else "start", message_id))

    async def flush(self, *, deadline_s: float) -> bool:
        """Try now what waits for its next attempt; returns whether nothing waits any more."""
        end = self._loop.time() + deadline_s
        while self._waiting and self._loop.time() < end:
            for phone in tuple(self._timers):
                self._hurry(phone)
            await asyncio.sleep(0.02)
        return not self._waiting

    def close(self, *, wait: bool = False) -> None:
        """Ends the thread after what it does; nothing may be asked afterwards.

        Args:
            wait: return only when it has ended.
        """
        for timer in self._timers.values():
            timer.cancel()
        self._thread.shutdown(wait=wait, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        try:
            return await self._loop.run_in_executor(self._thread, work)
        except OSError as error:
            raise unavailable(error) from error

    def _change(self, change: Change) -> asyncio.Future[Contact]:
        future: asyncio.Future[Contact] = self._loop.create_future()
        if self._count >= _MAX_WAITING:
            if change.word == "stop":
                self._forget_a_stop()
            future.set_exception(StoreRefusal("persistence_failed", _FULL))
            return future
        self._count += 1
        waiting = self._waiting.setdefault(change.phone, deque())
        waited_for = any(pending.future is not None for pending in waiting)
        waiting.append(_Pending(change, future))
        if not waited_for:
            self._cancel_timer(change.phone)  # its next attempt may be far away, and somebody waits now
        if change.phone not in self._timers:
            self._ready[change.phone] = None
            self._loop.call_soon(self._write)
        return future

    def _forget_a_stop(self) -> None:
        if not self._forgot_a_stop:
            self._forgot_a_stop = True
            logger.error(
                "a STOP could neither be written nor remembered: nobody is texted until the next start"
            )

    def _as_remembered(self, contact: Contact) -> Contact:
        """What the disk says, and what was said that it does not have."""
        if any(pending.change.word == "stop" for pending in self._waiting.get(contact.phone, ())):
            return _with(contact, do_not_text=True, certain=True)
        if self._forgot_a_stop and not contact.do_not_text:
            return _with(contact, do_not_text=True, certain=False)
        return contact

    # Writing

    def _write(self) -> None:
        """Has what is ready written, if nothing is being written."""
        if self._writing or not self._ready:
            return
        while self._ready and len(self._writing) < _MAX_BATCH:
            phone = next(iter(self._ready))
            del self._ready[phone]
            self._writing += [(phone, pending) for pending in self._waiting[phone]]
        changes = [pending.change for _, pending in self._writing]
        self._writing_since = self._loop.time()
        work = self._thread.submit(self._contacts.write, changes)
        asyncio.wrap_future(work, loop=self._loop).add_done_callback(self._written)

    def _written(self, done: asyncio.Future[list[Contact | StoreRefusal | OSError]]) -> None:
        writing, self._writing = self._writing, []
        if done.cancelled():
            return  # the store is closed
        self._counters.commits.observe(self._loop.time() - self._writing_since)
        outcomes = _outcomes(done, len(writing))
        failed: dict[str, OSError] = {}
        for (phone, pending), outcome in zip(writing, outcomes, strict=True):
            if isinstance(outcome, OSError):
                failed[phone] = outcome
                self._failed(phone, pending, outcome)
            else:
                self._counters.succeeded += 1
                self._remove(phone, pending)
                self._settle(pending, outcome)
        for phone in failed:
            self._try_later(phone)
        for phone, _ in writing:
            if phone in self._waiting and phone not in self._timers:
                self._ready[phone] = None
        self._report(unavailable(next(iter(failed.values()))).text if failed else "")
        self._write()

    def _settle(self, pending: _Pending, outcome: Contact | StoreRefusal) -> None:
        self._counters.written += isinstance(outcome, Contact)
        if pending.future is None or pending.future.done():
            return
        if isinstance(outcome, Contact):
            pending.future.set_result(self._as_remembered(outcome))
        else:
            pending.future.set_exception(outcome)

    def _failed(self, phone: str, pending: _Pending, error: OSError) -> None:
        self._counters.failed += 1
        pending.attempts += 1
        if pending.future is None or pending.attempts < self._options.write_attempts:
            return
        self._counters.exhausted += 1
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        why = os.strerror(error.errno) if error.errno else name
        refusal = StoreRefusal("persistence_failed", f"the disk does not take the contact: {why} ({name})")
        self._settle(pending, refusal)
        pending.future = None
        kept = pending.change.word == "stop"
        logger.error(
            "a contact could not be written (%s)%s",
            name,
            "; the STOP is remembered and tried again" if kept else "",
        )
        if not kept:
            self._remove(phone, pending)

    def _try_later(self, phone: str) -> None:
        waiting = self._waiting.get(phone)
        if not waiting:
            return
        self._ready.pop(phone, None)
        options = self._options
        attempts = min(pending.attempts for pending in waiting)
        delay_s = options.write_backoff_s * 2 ** max(0, min(attempts, 30) - 1)
        self._counters.retries += 1
        self._timers[phone] = self._loop.call_later(
            min(delay_s, max(options.patient_backoff_s, options.write_backoff_s)), self._hurry, phone
        )

    def _hurry(self, phone: str) -> None:
        self._cancel_timer(phone)
        if phone in self._waiting:
            self._ready[phone] = None
            self._write()

    def _cancel_timer(self, phone: str) -> None:
        timer = self._timers.pop(phone, None)
        if timer is not None:
            timer.cancel()

    def _remove(self, phone: str, pending: _Pending) -> None:
        waiting = self._waiting[phone]
        waiting.remove(pending)
        self._count -= 1
        if not waiting:
            del self._waiting[phone]


def _outcomes(
    done: asyncio.Future[list[Contact | StoreRefusal | OSError]], count: int
) -> list[Contact | StoreRefusal | OSError]:
    """What became of each change; without its answers the keeper would answer nobody ever again."""
    error = done.exception()
    if error is None:
        return done.result()
    logger.error("contacts were not written, for a reason that nobody thought of", exc_info=error)
    return [OSError(errno.EIO, type(error).__name__)] * count


def _with(contact: Contact, *, do_not_text: bool, certain: bool) -> Contact:
    return Contact(
        phone=contact.phone,
        do_not_text=do_not_text,
        created_at=contact.created_at,
        last_seen_at=contact.last_seen_at,
        certain=certain,
    )
