"""Checks what is said of certificates and keys that cannot be used: the key, the file, and what is wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from openclaw_actors.config.sections import TlsConfig
from openclaw_actors.config.tls import MAX_FILE_BYTES, TlsUnusable, leaf_pem, load_identity
from tests.authority import Authority
from tests.unit.config.world import Load, problems_of


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "tls")
    made.issue()
    return made


def text(authority: Authority) -> str:
    return f"tls: {{certificate: {authority.certificate}, key: {authority.key}}}\n"


def encrypted(key: bytes) -> bytes:
    loaded = serialization.load_pem_private_key(key, password=None)
    return loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    )


def test_a_pair_that_belongs_together_is_taken(load: Load, authority: Authority) -> None:
    tls = load(text(authority)).config.tls
    assert tls.on
    assert load_identity(tls).not_after > dt.datetime.now(dt.UTC)


def test_paths_are_those_of_the_directory_of_the_start(load: Load, authority: Authority) -> None:
    tls = load("tls: {certificate: tls/certificate.pem, key: tls/key.pem}").config.tls
    assert tls == TlsConfig(certificate=str(authority.certificate), key=str(authority.key))


def test_a_command_that_only_looks_for_the_gateway_needs_no_key(load: Load, tmp_path: Path) -> None:
    from openclaw_actors import config

    (tmp_path / "g.yaml").write_text("tls: {certificate: /nowhere.pem, key: /nowhere.key}")
    assert config.load(tmp_path / "g.yaml", {"HOME": "/"}, {}, to_start=False).config.tls.on


@pytest.mark.parametrize(("given", "missing"), [("certificate", "key"), ("key", "certificate")])
def test_one_without_the_other(load: Load, authority: Authority, given: str, missing: str) -> None:
    (problem,) = problems_of(load, f"tls: {{{given}: {authority.config[given]}}}")
    assert problem.startswith(f"tls.{missing} must be ")
    assert f"where tls.{given} is set" in problem


def _other_key(a: Authority) -> None:
    certificate = a.certificate.read_bytes()
    a.issue()
    a.replace(a.certificate, certificate)


def _wrong_order(a: Authority) -> None:
    certificate = a.certificate.read_bytes()
    a.replace(a.certificate, a.root.read_bytes() + certificate)


_SPOILED: dict[str, tuple[Callable[[Authority], object], str, str]] = {
    "no certificate": (lambda a: a.certificate.unlink(), "certificate", "No such file or directory"),
    "no key": (lambda a: a.key.unlink(), "key", "No such file or directory"),
    "a directory": (lambda a: (a.key.unlink(), a.key.mkdir()), "key", "Is a directory"),
    "swapped": (
        lambda a: a.certificate.write_bytes(a.key.read_bytes()),
        "certificate",
        "there is no BEGIN CERTIFICATE in it",
    ),
    "a certificate as a key": (
        lambda a: a.key.write_bytes(a.certificate.read_bytes()),
        "key",
        "there is no BEGIN PRIVATE KEY in it",
    ),
    "half a certificate": (
        lambda a: a.certificate.write_bytes(a.certificate.read_bytes()[:300]),
        "certificate",
        "it is damaged",
    ),
    "half a key": (lambda a: a.key.write_bytes(a.key.read_bytes()[:150]), "key", "it is damaged"),
    "a key with a passphrase": (
        lambda a: a.key.write_bytes(encrypted(a.key.read_bytes())),
        "key",
        "openssl pkey -in KEY -out PLAIN takes it off",
    ),
    "another's key": (_other_key, "key", "it is the key of another certificate"),
    "the chain first": (_wrong_order, "key", "it is the key of another certificate than the first in"),
    "too large": (
        lambda a: a.certificate.write_bytes(a.certificate.read_bytes() + b"\n" * MAX_FILE_BYTES),
        "certificate",
        f"it is larger than {MAX_FILE_BYTES} bytes",
    ),
    "expired": (
        lambda a: a.issue(expires=dt.datetime(2025, 1, 2, 3, 4, tzinfo=dt.UTC)),
        "certificate",
        "it expired on 2025-01-02 03:04 UTC; get a new one",
    ),
}


@pytest.mark.parametrize("case", _SPOILED)
def test_what_cannot_be_used_is_named_with_its_file_and_its_line(
    load: Load, authority: Authority, case: str
) -> None:
    spoil, key, hint = _SPOILED[case]
    spoil(authority)
    (problem,) = problems_of(load, text(authority))
    assert problem.startswith(f"tls.{key} must be ")
    assert f'(got "{authority.config[key][:60]}' in problem
    assert hint in problem
    assert problem.endswith("[g.yaml:1]")


def test_no_problem_shows_the_key(load: Load, authority: Authority) -> None:
    line = authority.key.read_text().splitlines()[2]
    authority.replace(authority.key, authority.key.read_bytes().replace(b"A", b"B"))
    (problem,) = problems_of(load, text(authority))
    assert line not in problem


def test_the_leaf_is_the_first_of_the_file(authority: Authority) -> None:
    assert leaf_pem(str(authority.certificate)).strip() in authority.certificate.read_text()
    with pytest.raises(TlsUnusable, match="no BEGIN CERTIFICATE"):
        leaf_pem(str(authority.key))
