"""Decides whether a certificate and its key can be shown to clients, and says what is wrong with them by key."""

from __future__ import annotations

__all__ = ["MAX_FILE_BYTES", "Identity", "TlsUnusable", "leaf_pem", "load_identity", "tls_problems"]

import datetime as dt
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from openclaw_actors.config.problems import Problem, shown
from openclaw_actors.config.sections import TlsConfig

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_FILE_BYTES = 1_048_576
_CERTIFICATE = "tls.certificate"
_KEY = "tls.key"
_A_CERTIFICATE = "a file with the gateway's certificate in PEM, and after it those that lead to its root"
_A_KEY = "a file with the private key of tls.certificate in PEM, without a passphrase"


class TlsUnusable(Exception):
    """Raised when clients cannot be shown this certificate; its text holds nothing of the key.

    Args:
        key: of the configuration.
        path: what it says.
        allowed: what may stand there.
        hint: what is wrong, and what to do.
    """

    def __init__(self, key: str, path: str, allowed: str, hint: str) -> None:
        super().__init__(key, path, allowed, hint)
        self.problem = Problem(kind="rule", key=key, allowed=allowed, value=shown(path), hint=hint)

    def __str__(self) -> str:
        return str(self.problem)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate with its key, as clients are shown it."""

    context: ssl.SSLContext
    not_before: dt.datetime
    not_after: dt.datetime


def load_identity(tls: TlsConfig) -> Identity:
    """Read certificate and key; whether it is still valid is for the caller to judge.

    Args:
        tls: with both files set.

    Raises:
        TlsUnusable: one of the files cannot be used, or they do not belong together.
    """
    assert tls.certificate is not None
    assert tls.key is not None
    chain = _chain(tls.certificate)
    _check_key(tls.key, tls.certificate, chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_passphrase)
    except (OSError, ValueError) as error:  # such as a key that is too short for this machine's OpenSSL
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        hint = f"OpenSSL does not take it: {reason}"
        raise TlsUnusable(_CERTIFICATE, tls.certificate, _A_CERTIFICATE, hint) from None
    leaf = chain[0]
    return Identity(context=context, not_before=leaf.not_valid_before_utc, not_after=leaf.not_valid_after_utc)


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")  # OpenSSL would ask the terminal


def _chain(path: str) -> list[Certificate]:
    from cryptography import x509

    data = _read(_CERTIFICATE, path, _A_CERTIFICATE)
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise TlsUnusable(_CERTIFICATE, path, _A_CERTIFICATE, "there is no BEGIN CERTIFICATE in it")
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise TlsUnusable(_CERTIFICATE, path, _A_CERTIFICATE, "it is damaged") from None


def _check_key(path: str, certificate: str, chain: list[Certificate]) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(_KEY, path, _A_KEY)
    if b"PRIVATE KEY-----" not in data:
        raise TlsUnusable(_KEY, path, _A_KEY, "there is no BEGIN PRIVATE KEY in it")
    try:
        mine = _public_bytes(load_pem_private_key(data, password=None).public_key())
    except TypeError:
        hint = "it has a passphrase; openssl pkey -in KEY -out PLAIN takes it off"
        raise TlsUnusable(_KEY, path, _A_KEY, hint) from None
    except (ValueError, UnsupportedAlgorithm):
        raise TlsUnusable(_KEY, path, _A_KEY, "it is damaged, or of a kind that is not known") from None
    if mine == _public_bytes(chain[0].public_key()):
        return
    if any(mine == _public_bytes(each.public_key()) for each in chain[1:]):
        hint = "the certificate of tls.key is not the first in it; put it before the others"
        raise TlsUnusable(_CERTIFICATE, certificate, _A_CERTIFICATE, hint)
    raise TlsUnusable(_KEY, path, _A_KEY, f"it is the key of another certificate than that in {certificate}")


def _public_bytes(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    data: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return data


def _read(key: str, path: str, allowed: str) -> bytes:
    try:
        # Not blocking: a named pipe that nobody writes to is an empty file.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1) or b""
    except OSError as error:
        remedy = f"; let the user of the gateway (uid {os.geteuid()}) read it"
        hint = f"{error.strerror}{remedy if isinstance(error, PermissionError) else ''}"
        raise TlsUnusable(key, path, allowed, hint) from None
    if len(data) > MAX_FILE_BYTES:
        raise TlsUnusable(key, path, allowed, f"it is larger than {MAX_FILE_BYTES} bytes")
    return data


def tls_problems(tls: TlsConfig) -> Iterator[Problem]:
    """Find what forbids to start with this certificate."""
    if tls.certificate is None and tls.key is None:
        return
    if tls.certificate is None:
        yield Problem(kind="rule", key=_CERTIFICATE, allowed=f"{_A_CERTIFICATE}, where {_KEY} is set")
        return
    if tls.key is None:
        yield Problem(kind="rule", key=_KEY, allowed=f"{_A_KEY}, where {_CERTIFICATE} is set")
        return
    try:
        identity = load_identity(tls)
    except TlsUnusable as error:
        yield error.problem
        return
    now = dt.datetime.now(dt.UTC)
    hint = ""
    if now >= identity.not_after:
        hint = f"it expired on {identity.not_after:%Y-%m-%d %H:%M} UTC; get a new one"
    elif now < identity.not_before:
        hint = f"it is valid from {identity.not_before:%Y-%m-%d %H:%M} UTC on; look at this machine's clock"
    if hint:
        allowed = "a certificate that is valid now"
        yield Problem(kind="rule", key=_CERTIFICATE, allowed=allowed, value=shown(tls.certificate), hint=hint)


def leaf_pem(path: str) -> str:
    """The first certificate of a file, for a client that trusts it alone.

    Raises:
        TlsUnusable: there is none.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    return _chain(str(Path(path)))[0].public_bytes(Encoding.PEM).decode()
