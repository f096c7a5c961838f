"""The model is told which argument is wrong, what it holds, and what it may hold."""

from __future__ import annotations

import msgspec
import pytest

from openclaw_actors.tools.base import Arguments
from openclaw_actors.tools.memory import MemoryArguments
from openclaw_actors.tools.shell import ShellArguments
from openclaw_actors.tools.wrong import what_is_wrong


@pytest.mark.parametrize(
    ("wanted", "given", "ends"),
    [
        (MemoryArguments, '{"action": "burn", "key": "k"}', "at `$.action`; allowed are read, write"),
        (ShellArguments, '{"command": 5}', "got `int` - at `$.command`; it is 5"),
        (ShellArguments, '{"command": ""}', 'at `$.command`; it is ""'),
        (ShellArguments, '{"command": [' + "1," * 100 + "1]}", "1,1,1… (203 characters)"),
        (ShellArguments, '{"cmd": "ls"}', "unknown field `cmd`; allowed are command, timeout_seconds"),
        (ShellArguments, "{}", "missing required field `command`"),
        (ShellArguments, "[]", "Expected `object`, got `array`"),
        (ShellArguments, "{", "Input data was truncated"),
    ],
)
def test_what_is_wrong_is_named(wanted: type[Arguments], given: str, ends: str) -> None:
    with pytest.raises(msgspec.MsgspecError) as caught:
        msgspec.json.decode(given, type=wanted)
    assert what_is_wrong(caught.value, given, wanted).endswith(ends)
