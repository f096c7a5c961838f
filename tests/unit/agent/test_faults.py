"""The session's own process commits only what is a fault, and asked for under the reserved name."""

from __future__ import annotations

import os
import signal

import pytest

from openclaw_actors.agent.faults import FAULT_TOOL, commit_fault, fault_of
from openclaw_actors.messages.events import Usage
from openclaw_actors.messages.model import Completed, ToolCall

__all__: list[str] = []


def answer(name: str, arguments: str) -> Completed:
    call = ToolCall(call_id="c", name=name, arguments=arguments)
    return Completed(call_id="c", text="", usage=Usage(), tool_calls=(call,))


def test_a_fault_is_recognised() -> None:
    fault = fault_of(answer(FAULT_TOOL, '{"fault":"eat","megabytes":2}'))

    assert fault is not None
    assert (fault.fault, fault.megabytes) == ("eat", 2)
    assert commit_fault(fault) == "ate 2 MB"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("read_file", '{"fault":"crash"}'),
        (FAULT_TOOL, "{broken"),
        (FAULT_TOOL, "{}"),
        (FAULT_TOOL, '{"fault":1}'),
        (FAULT_TOOL, '{"fault":"eat","megabytes":"many"}'),
    ],
)
def test_what_is_none_is_left_to_the_tools(name: str, arguments: str) -> None:
    assert fault_of(answer(name, arguments)) is None


def test_an_unknown_fault_does_nothing() -> None:
    fault = fault_of(answer(FAULT_TOOL, '{"fault":"dance"}'))

    assert fault is not None
    assert commit_fault(fault) == "no such fault: dance"


def in_a_child(fault: str, *, for_s: int) -> int:
    """Commit a fault in a process of its own, which an alarm ends if nothing else does; returns its wait status."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(for_s)
        committed = fault_of(answer(FAULT_TOOL, f'{{"fault":"{fault}"}}'))
        if committed is not None:
            commit_fault(committed)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def test_crash_ends_the_process_on_the_spot() -> None:
    assert os.waitstatus_to_exitcode(in_a_child("crash", for_s=20)) == 70


def test_spin_never_comes_back() -> None:
    assert os.waitstatus_to_exitcode(in_a_child("spin", for_s=1)) == -signal.SIGALRM
