"""docs/protocol.md: every event, code and client message of `openclaw.v2` stands there, and its examples are valid."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from openclaw_actors.channels.websocket.channel import REFUSAL_TEXTS
from openclaw_actors.channels.websocket.envelope import parse_envelope
from openclaw_actors.channels.websocket.v2 import BadFrame, parse
from openclaw_actors.messages import Event

DOCUMENT = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()
EXAMPLES = [
    line for block in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL) for line in block.splitlines()
]
CODES = [
    *("bad_json", "unknown_type", "bad_field", "session_id_invalid", "busy", "rate_limited", "budget"),
    *("draining", "not_accepted", "persistence_failed", "message_id_conflict", "quarantined"),
    *("text_truncated", "session_restarted", "persistence_degraded", "nothing_to_stop"),
]


@pytest.mark.parametrize("kind", get_args(Event))
def test_each_event_with_all_its_fields(kind: type[msgspec.Struct]) -> None:
    name = kind.__struct_config__.tag
    (row,) = [line for line in DOCUMENT.splitlines() if line.startswith(f"| `{name}` | `")]
    for field in msgspec.structs.fields(kind):
        if field.name not in ("duplicate", "code") or field.required:
            assert re.search(rf"\b{field.encode_name}\b", row), field.name


def test_each_code() -> None:
    assert set(REFUSAL_TEXTS) <= set(CODES)
    assert [code for code in CODES if f"`{code}`" not in DOCUMENT] == []


def test_each_example_is_understood() -> None:
    assert len(EXAMPLES) == 6
    assert parse_envelope(EXAMPLES[0]) is not None
    requests = [parse(example) for example in EXAMPLES[1:]]
    assert [request for request in requests if isinstance(request, BadFrame)] == []
    assert len({type(request) for request in requests}) == 5
