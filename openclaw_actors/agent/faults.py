"""The faults that the demo provider asks the session's own process for, where `llm.demo_faults` allows it.

They are how a person, or a test, sees for themselves that one conversation's death is nobody else's.
"""

from __future__ import annotations

import os

import msgspec

from openclaw_actors.messages.model import Completed

__all__ = ["FAULT_TOOL", "Fault", "commit_fault", "fault_of"]

FAULT_TOOL = "demo_fault"
"""The reserved name under which the demo provider asks for a fault."""

_CRASH_STATUS = 70
_MEGABYTE = 1024 * 1024


class Fault(msgspec.Struct, frozen=True):
    """What is to go wrong."""

    fault: str
    megabytes: int = 0


def fault_of(answer: Completed) -> Fault | None:
    """The fault that this answer asks for, if it does."""
    for call in answer.tool_calls:
        if call.name == FAULT_TOOL:
            try:
                return msgspec.json.decode(call.arguments, type=Fault)
            except (msgspec.MsgspecError, UnicodeEncodeError):
                return None  # anybody can ask for this tool with what is no fault
    return None


def commit_fault(fault: Fault) -> str:
    """Crash, spin or eat memory, in this process; returns what to answer if the process outlives it.

    Raises:
        MemoryError: for more memory than the session may have.
    """
    match fault.fault:
        case "crash":
            os._exit(_CRASH_STATUS)
        case "spin":
            while True:
                pass
        case "eat":
            eaten = [bytearray(os.urandom(1)) * _MEGABYTE for _ in range(fault.megabytes)]
            return f"ate {len(eaten)} MB"
        case _:
            return f"no such fault: {fault.fault}"
