"""The example file and the reference say of every key what the types say."""

from __future__ import annotations

import re

import pytest
import yaml

from openclaw_actors.config import GatewayConfig
from openclaw_actors.config.environment import CONFIG_PATH_VARIABLE, DEDICATED
from openclaw_actors.config.layers import key_names
from openclaw_actors.config.model import DERIVED, REPLACED
from tests.unit.config import reference
from tests.unit.config.world import Load


def keys_in(tree: object, path: tuple[str, ...] = ()) -> set[str]:
    if not isinstance(tree, dict):
        return set()
    names = {".".join((*path, name)) for name in tree}
    return names.union(*(keys_in(value, (*path, name)) for name, value in tree.items()))


def test_the_example_holds_every_key_and_no_other() -> None:
    assert keys_in(yaml.safe_load(reference.EXAMPLE.read_text())) == set(key_names())


def test_the_example_is_what_holds_without_it(load: Load) -> None:
    with_it, without = load(reference.EXAMPLE.read_text()), load(None)
    assert with_it.config == without.config
    assert with_it.warnings == without.warnings == ()


def test_the_example_leaves_what_is_derived_to_be_derived(load: Load) -> None:
    text = reference.EXAMPLE.read_text()
    assert {key for key, source in load(text).sources.items() if source == "derived"} == set(DERIVED)
    elsewhere = {"OPENCLAW_STATE_DIR": "/elsewhere", "OPENAI_API_KEY": "sk-1"}
    assert load(text, **elsewhere).config == load(None, **elsewhere).config


@pytest.mark.parametrize("key", [key for key in DERIVED if not key.startswith("llm.")])
def test_a_default_that_is_derived_does_not_stand_in_the_types_as_another(load: Load, key: str) -> None:
    """The types must name some default; where it is a path it is the one of the default state directory."""
    value: object = GatewayConfig()
    for part in key.split("."):
        value = getattr(value, part)
    assert value == () or str(value).startswith("~/.openclaw-actors/")


def test_the_example_says_of_every_key_what_it_is_for() -> None:
    said = reference.meanings(reference.EXAMPLE.read_text())
    assert set(said) == set(reference.leaf_keys())
    assert [key for key, text in said.items() if not text] == []


def test_the_reference_is_up_to_date() -> None:
    written = reference.in_document(reference.DOCUMENT.read_text())
    assert written == reference.render(), "run: python -m tests.unit.config.reference"


def test_the_document_names_every_variable_and_every_replaced_key() -> None:
    text = reference.DOCUMENT.read_text()
    for name in (*DEDICATED, CONFIG_PATH_VARIABLE, *REPLACED, *REPLACED.values()):
        assert f"`{name}`" in text, name


def test_the_examples_of_the_document_are_taken(load: Load) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", reference.DOCUMENT.read_text(), re.DOTALL)
    assert blocks
    environ = {name: f"value of {name}" for name in ("OPENAI_API_KEY", "ALICE_TOKEN", "OPENCLAW_AUTH_TOKEN")}
    for block in blocks:
        assert load(block, **environ)
