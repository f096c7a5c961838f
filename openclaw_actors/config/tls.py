"""Decides whether a certificate and its key can be shown to clients, and says what is wrong with them by key."""

from __future__ import annotations

__all__ = ["MAX_FILE_BYTES", "Identity", "TlsUnusable", "leaf_pem", "load_identity", "tls_problems"]

import datetime as dt
import os
import ssl
from collections.abc import Iterator
from typing import Any

import msgspec

from openclaw_actors.config.problems import Problem, shown
from openclaw_actors.config.sections import TlsConfig

MAX_FILE_BYTES = 1_048_576
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which the ssl module has no name for."""
_MOST_FLIGHTS = 8
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
    """Read certificate and key, and show them to a client of our own; whether they are still valid is not judged.

    Args:
        tls: with both files set.

    Raises:
        TlsUnusable: one of the files cannot be used, or they do not belong together.
    """
    assert tls.certificate is not None
    assert tls.key is not None
    leaf = leaf_pem(tls.certificate)
    _check_key(tls.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            hint = f"it is the key of another certificate than the first in {tls.certificate}"
            raise TlsUnusable(_KEY, tls.key, _A_KEY, hint) from None
        if _is_damaged(tls.certificate):
            raise TlsUnusable(_CERTIFICATE, tls.certificate, _A_CERTIFICATE, "it is damaged") from None
        hint = f"it is damaged, or of a kind that OpenSSL does not take ({error.reason})"
        raise TlsUnusable(_KEY, tls.key, _A_KEY, hint) from None
    except (OSError, ValueError) as error:  # replaced since it was looked at
        raise TlsUnusable(_KEY, tls.key, _A_KEY, getattr(error, "strerror", None) or str(error)) from None
    try:
        shown = _as_a_client_sees_it(context, leaf)
    except ssl.SSLError as error:
        hint = f"clients would refuse it: {getattr(error, 'verify_message', None) or error.reason}"
        raise TlsUnusable(_CERTIFICATE, tls.certificate, _A_CERTIFICATE, hint) from None
    return Identity(context=context, not_before=_time(shown["notBefore"]), not_after=_time(shown["notAfter"]))


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")  # OpenSSL would ask the terminal


def _as_a_client_sees_it(server: ssl.SSLContext, leaf: str) -> dict[str, Any]:
    """Shake hands in memory: whether the pair works, and what stands in the certificate, at any time."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    client.load_verify_locations(cadata=leaf)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)]
    for _ in range(_MOST_FLIGHTS):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass  # the other end has the word
    return ends[0].getpeercert() or {}


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(ssl.cert_time_to_seconds(text), dt.UTC)


def leaf_pem(path: str) -> str:
    """The first certificate of a file, for a client that trusts it alone.

    Raises:
        TlsUnusable: there is none.
    """
    data = _read(_CERTIFICATE, path, _A_CERTIFICATE)
    _, begin, rest = data.partition(_BEGIN)
    body, end, _ = rest.partition(_END)
    if not begin:
        raise TlsUnusable(_CERTIFICATE, path, _A_CERTIFICATE, "there is no BEGIN CERTIFICATE in it")
    pem = (begin + body + end + b"\n").decode("ascii", "replace")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise TlsUnusable(_CERTIFICATE, path, _A_CERTIFICATE, "it is damaged") from None
    return pem


def _is_damaged(path: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, OSError):
        return True
    return False


def _check_key(path: str) -> None:
    data = _read(_KEY, path, _A_KEY)
    if b"PRIVATE KEY-----" not in data:
        raise TlsUnusable(_KEY, path, _A_KEY, "there is no BEGIN PRIVATE KEY in it")
    if b"ENCRYPTED" in data:
        hint = "it has a passphrase; openssl pkey -in KEY -out PLAIN takes it off"
        raise TlsUnusable(_KEY, path, _A_KEY, hint)


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
