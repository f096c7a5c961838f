"""When `start` executes itself anew, and whom it believes that it has."""

from __future__ import annotations

import os

import msgspec
import pytest

from openclaw_actors.cli.handover import VARIABLE, Handover, must_hand_over, take_over
from openclaw_actors.config import GatewayConfig, load
from openclaw_actors.config.sections import TlsConfig
from openclaw_actors.config.vault import fill_vault, vault_path
from openclaw_actors.errors import OpenClawError

PID = os.getpid()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OPENCLAW_MODEL": "m", "PATH": "/bin"}, False),
        ({"OPENAI_API_KEY": " "}, False),
        ({"OPENAI_API_KEY": "k"}, True),
        ({"MODEL_PROVIDER_KEY": "k", "OPENAI_API_KEY": "raw:k"}, True),
        ({"OPENCLAW__SKILLS__ENTRIES__s__ENV__KEY": "k"}, True),
    ],
)
def test_only_who_has_a_secret_must(environ: dict[str, str], expected: bool) -> None:
    config = load(None, {"HOME": "/home/me", **environ}, {}).config
    assert must_hand_over(config, environ) is expected


def test_a_secret_that_stands_in_the_configuration_is_one_too() -> None:
    assert must_hand_over(GatewayConfig(auth_token="raw:x"), {})


def head(**given: object) -> bytes:
    known = Handover(config=GatewayConfig(auth_token="env:A"), file="f", hidden=("A",), warning="w")
    return msgspec.json.encode({"pid": PID, "known": known, **given})


def test_who_has_executed_itself_knows_the_rest() -> None:
    vault = fill_vault({"env:A": "hunter2"}, head())
    try:
        taken = take_over({VARIABLE: f"{PID}:{vault}"})
        assert taken == Handover(
            config=GatewayConfig(auth_token="env:A"),
            file="f",
            references={"auth_token": f"vault:{vault_path(vault)}:env:A"},
            vault=vault_path(vault),
            hidden=("A",),
            warning="w",
        )
        assert not os.get_inheritable(vault)
    finally:
        os.close(vault)


@pytest.mark.parametrize("form", ["", "x", "10", "{0}", "{0}:", "{0}:-1", "{0}:²", "{1}:10", "0{0}:10"])
def test_what_start_cannot_have_set_is_ignored_and_said(form: str) -> None:
    claimed = form.format(PID, PID + 1)
    assert take_over({VARIABLE: claimed}) == f"{VARIABLE} is ignored: only start itself sets it"
    assert take_over({}) is None


@pytest.mark.parametrize("given", [{"pid": 1}, {"pid": "x"}, {"known": 3}])
def test_a_vault_that_is_not_of_this_process_is_refused(given: dict[str, object]) -> None:
    vault = fill_vault({}, head(**given))
    try:
        with pytest.raises(OpenClawError, match="does not lead to the secrets"):
            take_over({VARIABLE: f"{PID}:{vault}"})
    finally:
        os.close(vault)


def test_who_has_read_the_key_of_a_certificate_executes_itself_anew() -> None:
    with_key = GatewayConfig(tls=TlsConfig(certificate="/c.pem", key="/k.pem"))
    assert must_hand_over(with_key, {})
    assert not must_hand_over(GatewayConfig(), {})
