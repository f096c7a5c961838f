"""docs/api.md: every operation stands there, and says who may."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from openclaw_actors.channels.http.declaring import Operation
from openclaw_actors.channels.http.operations import OPERATIONS

DOCUMENT = (Path(__file__).parents[4] / "docs" / "api.md").read_text()
ROWS = dict(re.findall(r"^\| `((?:GET|POST|DELETE) /api/[^`]*)` \| (.*) \|$", DOCUMENT, re.MULTILINE))
WHO = {
    "owner": ("owner",),
    "session": ("everybody: their own",),
    "principal": ("everybody with a token", "everybody: their own"),
    "anyone": ("everybody",),
}


def test_no_other_operation_stands_there() -> None:
    assert set(ROWS) == {f"{each.method} {each.path}" for each in OPERATIONS}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_each_operation_says_who_may_and_what_it_takes(operation: Operation) -> None:
    text, _, who = ROWS[f"{operation.method} {operation.path}"].rpartition(" | ")
    assert who in WHO[operation.access]
    for kind in (operation.query, operation.body):
        for name in kind.__struct_fields__ if kind is not None else ():
            assert re.search(rf"\b{name}\b", text), f"{name} is missing"


def test_each_status_is_explained() -> None:
    explained = set(map(int, re.findall(r"^\| (\d\d\d) \|", DOCUMENT, re.MULTILINE)))
    assert {status for each in OPERATIONS for status in each.statuses} <= explained
