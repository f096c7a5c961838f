"""Runs one campaign: people talk, faults befall the gateway, and at the end everything is asked for again."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException

from chaos.client import Talker, replay
from chaos.faults import FAULTS, commit
from chaos.gateway import Gateway
from chaos.ledger import Conversation, Promise, given_up, judge
from chaos.processes import descriptors, orphans, resident_bytes
from chaos.scene import Scene
from chaos.schedule import Step, drawn, written

__all__ = ["FAULT_LOG", "Outcome", "Plan", "run"]

FAULT_LOG = "faults.jsonl"

_ORPHANS = "no process is without its parent"
_LEAKS = "nothing grows"
_SHORT = {
    "lost": "every accepted message is answered",
    "doubled": "once",
    "reordered": "in order",
    "contradicted": "what was told stays true",
    "orphans": _ORPHANS,
    "leaks": _LEAKS,
}
_SETTLE_WITHIN_S = 120.0
_QUIET_S = 3.0
_REPLAY_WITHIN_S = 30.0
_MAX_GROWTH_BYTES = 32 * 1024 * 1024
_MAX_GROWTH_DESCRIPTORS = 40


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a campaign is; the same plan does the same to the same gateway."""

    seed: int
    seconds: float
    sessions: int
    faults: Sequence[str]
    every_s: float
    """Mean time between two faults, in seconds."""
    steps: Sequence[Step] = ()
    """These faults and no others; none: they are drawn by the seed."""


@dataclass
class Outcome:
    """What came of it."""

    promises: list[Promise] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    said: int = 0
    accepted: int = 0
    answered: int = 0
    given_up: int = 0
    """Of those that asked for no fault: their conversation's process was ended twice while they were answered."""
    connections: int = 0
    starts: int = 0
    slowest_s: float = 0.0
    """From the receipt of a message to its end, the longest; of those that ask for no fault of their own."""

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind of promise was broken."""
        broken = {promise.name: len(promise.broken) for promise in self.promises}
        return {short: broken.get(name, 0) for short, name in _SHORT.items()}

    @property
    def kept(self) -> bool:
        return all(promise.kept for promise in self.promises)


async def run(plan: Plan, directory: Path, log: Callable[[str], None]) -> Outcome:
    """Run a campaign in an empty directory.

    Args:
        log: takes a line for each fault and each step.
    """
    names = [step.fault for step in plan.steps] or plan.faults
    groups = {name.partition("-")[0] for name in names}
    gateway = Gateway(
        directory,
        bad_provider="provider" in groups,
        bad_disk="disk" in groups,
        bad_clock="clock" in groups,
        bound_by_limits="processes" in groups,
    )
    running = asyncio.ensure_future(gateway.keep_running())
    try:
        await gateway.until_ready()
        return await _campaign(plan, gateway, log)
    finally:
        await gateway.stop()
        running.cancel()
        gateway.clear()


async def _campaign(plan: Plan, gateway: Gateway, log: Callable[[str], None]) -> Outcome:
    dice = random.Random(plan.seed)
    talkers = [
        Talker(
            gateway.url,
            Conversation(f"s{number}"),
            random.Random(dice.random()),
            troublesome=number % 5 == 4,
        )
        for number in range(plan.sessions)
    ]
    outcome = Outcome()
    background = [asyncio.ensure_future(talker.listen()) for talker in talkers]
    background += [asyncio.ensure_future(talker.nag()) for talker in talkers]
    await asyncio.gather(*(talker.say("say hello") for talker in talkers))
    await _until_settled(talkers)
    before = _costs(gateway)
    end = time.monotonic() + plan.seconds
    talking = [asyncio.ensure_future(talker.talk(end)) for talker in talkers]
    scene = Scene(gateway, talkers, dice)
    await _strike(plan, scene, outcome, log)
    await asyncio.gather(*talking)
    log(
        f"the faults are over; {sum(len(talker.conversation.open) for talker in talkers)} messages have no end yet"
    )
    await _until_settled(talkers)
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
    conversations = [talker.conversation for talker in talkers]
    _excuse(conversations, gateway)
    histories = await asyncio.gather(*(_history(gateway, each, log) for each in conversations))
    replayed = {each.id: events for each, events in zip(conversations, histories, strict=True)}
    outcome.given_up = len(given_up(conversations, replayed))
    outcome.promises = judge(conversations, replayed, session_faults=_session_faults(outcome.faults))
    outcome.promises.append(Promise(_LEAKS, _growth(before, _costs(gateway))))
    outcome.promises.append(Promise(_ORPHANS, _orphans(gateway)))
    outcome.promises.append(Promise("the operator's commands end, with a word", scene.complaints))
    status = await gateway.stop()
    left = gateway.processes()
    ends = [f"process {pid} ({name}) is left" for pid, name in left.items()]
    if status != 0:
        ends.append(f"start ended with {status}")
    ends += [f"{path} is left" for path in _sockets(gateway.directory / "state")]
    outcome.promises.append(Promise("a gateway that is stopped leaves nothing", ends))
    _count(outcome, conversations, gateway)
    return outcome


async def _history(
    gateway: Gateway, conversation: Conversation, log: Callable[[str], None]
) -> list[dict[str, Any]]:
    """What the gateway says of a conversation; nothing, if it does not say."""
    try:
        return await replay(gateway.url, conversation.id, _REPLAY_WITHIN_S)
    except (OSError, TimeoutError, WebSocketException, ValueError) as error:
        log(f"the history of {conversation.id} cannot be had: {type(error).__name__} {error}")
        return []


def _excuse(conversations: Sequence[Conversation], gateway: Gateway) -> None:
    """What the provider spoiled for good may end as failed."""
    spoiled = gateway.provider.spoiled if gateway.provider is not None else set()
    for conversation in conversations:
        for message in conversation.messages.values():
            message.spoiled = message.text in spoiled


def _steps(plan: Plan) -> Iterable[Step]:
    if plan.steps:
        return plan.steps
    return drawn(plan.seed, {name: FAULTS[name][0] for name in plan.faults}, plan.every_s)


async def _strike(plan: Plan, scene: Scene, outcome: Outcome, log: Callable[[str], None]) -> None:
    """Do one fault after the other. A log of them is written as it goes, so that it is there whatever happens."""
    began = time.monotonic()
    with (scene.gateway.directory / FAULT_LOG).open("w") as done:
        for step in _steps(plan):
            now_s = time.monotonic() - began
            if not plan.steps and max(step.at_s, now_s) >= plan.seconds:
                break
            await asyncio.sleep(step.at_s - now_s)
            now_s = time.monotonic() - began
            done.write(written(replace(step, at_s=round(now_s, 3))) + "\n")
            done.flush()
            scene.dice = random.Random(step.dice)
            what = await commit(step.fault, scene)
            outcome.faults[step.fault] += 1
            log(f"{now_s:7.2f} s  {step.fault}: {what}")
    await asyncio.sleep(plan.seconds - (time.monotonic() - began))


async def _until_settled(talkers: Sequence[Talker]) -> None:
    """Until everything that was said has its end, or the time for that is over; the verdict tells which."""
    end = time.monotonic() + _SETTLE_WITHIN_S
    while time.monotonic() < end:
        if not any(talker.conversation.open for talker in talkers):
            await asyncio.sleep(_QUIET_S)  # a second answer would come now
            return
        await asyncio.sleep(0.1)


def _costs(gateway: Gateway) -> dict[str, tuple[int, int]]:
    """Memory and descriptors of each service."""
    return {
        name: (resident_bytes(pid), descriptors(pid))
        for pid, name in gateway.processes().items()
        if name != "SessionActor"
    }


def _growth(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> list[str]:
    found = []
    for name, (memory, files) in after.items():
        first_memory, first_files = before.get(name, (memory, files))
        if memory - first_memory > _MAX_GROWTH_BYTES:
            found.append(f"{name} has {(memory - first_memory) // 2**20} MB more than at first")
        if files - first_files > _MAX_GROWTH_DESCRIPTORS:
            found.append(f"{name} holds {files - first_files} descriptors more than at first")
    return found


def _session_faults(faults: Counter[str]) -> int:
    """Those that may end a conversation's process, which cannot tell them from its own doing."""
    return sum(count for name, count in faults.items() if name.endswith(("-session", "-SessionActor")))


def _orphans(gateway: Gateway) -> list[str]:
    processes = gateway.processes()
    stray = orphans(processes, gateway.pid)
    found = [f"process {pid} ({name}) does not stand below start" for pid, name in stray.items()]
    counts = Counter(name for name in processes.values() if name != "SessionActor")
    found += [f"there are {count} of {name}" for name, count in counts.items() if count > 1]
    return found


def _sockets(state: Path) -> list[Path]:
    run = state / "run"
    return [path for path in run.rglob("*") if path.is_socket()] if run.exists() else []


def _count(outcome: Outcome, conversations: Sequence[Conversation], gateway: Gateway) -> None:
    messages = [message for each in conversations for message in each.messages.values()]
    outcome.said = len(messages)
    outcome.accepted = sum(message.accepted_at is not None for message in messages)
    outcome.answered = sum(message.done_at is not None for message in messages)
    outcome.connections = sum(each.connections for each in conversations)
    outcome.starts = gateway.starts
    outcome.slowest_s = max(
        (
            message.done_at - message.accepted_at
            for message in messages
            if message.done_at is not None and message.accepted_at is not None and not message.may_fail
        ),
        default=0.0,
    )
