"""Which tools of a server are offered, how they are described, and who is believed that they change nothing."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_actors.tools.mcp.offers import Listed, OfferRules, Offers, offers_of

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def listed(name: str, **changes: Any) -> Listed:
    given: dict[str, Any] = {"description": "Does.", "schema": SCHEMA, "read_only_hint": False}
    return Listed(name=name, **{**given, **changes})


def offered(*tools: Listed, **changes: Any) -> Offers:
    rules: dict[str, Any] = {
        "server": "s",
        "allowed": frozenset(),
        "read_only": frozenset(),
        "trust_hints": False,
        "max_tools": 10,
        "max_schema_bytes": 500,
        "max_description_chars": 40,
    }
    return offers_of(tools, OfferRules(**{**rules, **changes}))


def names(offers: Offers) -> list[str]:
    return [tool.remote_name for tool in offers.tools.tools]


def test_the_order_is_that_of_the_names_and_the_version_that_of_the_content() -> None:
    one, other = offered(listed("b"), listed("a")), offered(listed("a"), listed("b"))
    assert names(one) == names(other) == ["a", "b"]
    assert one.tools.version == other.tools.version
    changed = offered(listed("a"), listed("b", description="Does something else."))
    assert changed.tools.version != one.tools.version
    assert offered().tools.version not in ("", one.tools.version)


def test_only_what_is_allowed_is_offered_and_what_is_not_there_is_told() -> None:
    offers = offered(listed("a"), listed("b"), allowed=frozenset({"b", "missing"}))
    assert names(offers) == ["b"]
    assert offers.left_out == ("missing: the server has no such tool",)


@pytest.mark.parametrize(
    ("hint", "trust", "read_only", "believed"),
    [
        (True, False, (), False),
        (True, True, (), True),
        (False, True, (), False),
        (False, False, ("a",), True),
        (False, False, ("b",), False),
    ],
)
def test_a_tool_is_read_only_where_the_configuration_says_so_or_believes_the_server(
    hint: bool, trust: bool, read_only: tuple[str, ...], believed: bool
) -> None:
    offers = offered(listed("a", read_only_hint=hint), trust_hints=trust, read_only=frozenset(read_only))
    assert offers.tools.tools[0].read_only is believed


def test_too_much_is_left_out_and_told() -> None:
    big = {"type": "object", "properties": {"x": {"description": "y" * 500}}}
    offers = offered(listed("a"), listed("big", schema=big), listed("c"), listed("d"), max_tools=2)
    assert names(offers) == ["a", "c"]
    assert "big: its schema takes 5" in offers.left_out[0]
    assert offers.left_out[1] == "d: there are more than 2"
    assert names(offered(listed("a"), listed("a"))) == ["a"]


def test_descriptions_are_text_and_of_bounded_length() -> None:
    tools = offered(
        listed("a", description="x" * 100),
        listed("b", description=" \n"),
        listed("c", description="\x1b[0m\ud800!"),
    ).tools.tools
    assert tools[0].spec.description == "x" * 33 + "… (cut)"
    assert tools[1].spec.description == "b, a tool of the MCP server s."
    assert tools[2].spec.description == "\ufffd[0m\ufffd!"


def test_schemas_are_what_every_provider_takes() -> None:
    (tool,) = offered(listed("a", schema={"$schema": "x", "title": "T", "required": ["q"]})).tools.tools
    assert tool.spec.parameters == {"required": ["q"], "type": "object", "properties": {}}
