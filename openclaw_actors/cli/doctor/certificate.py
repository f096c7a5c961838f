"""Looks at the certificate of the channels: how long it is valid, and who can read its key."""

from __future__ import annotations

__all__ = ["look"]

import datetime as dt
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, counted, error, ok, warning
from openclaw_actors.config.tls import Identity, TlsUnusable, load_identity

_SOON = dt.timedelta(days=14)
_SOON_PART = 1 / 4
"""Of its whole time: there are certificates for a few days only."""
_ALARM = dt.timedelta(days=3)


def look(context: Context) -> Iterator[Finding]:
    """See the module's text."""
    tls = context.config.tls
    if not tls.on:
        return
    yield from _key(Path(tls.key or ""))
    try:
        identity = load_identity(tls)
    except TlsUnusable as unusable:
        if context.record is not None and context.record.certificate:
            yield error(
                str(unusable),
                why="the running gateway goes on with the certificate that it has; the next start is refused",
                remedy="put back a certificate and a key that belong together",
            )
        return  # else told where the configuration is looked at
    yield _expiry(identity, str(tls.certificate))


def _expiry(identity: Identity, path: str) -> Finding:
    now = dt.datetime.now(dt.UTC)
    left, whole = identity.not_after - now, identity.not_after - identity.not_before
    days = counted(max(0, left.days), "day")
    remedy = f"renew it; the gateway reads {path} again by itself"
    if left <= dt.timedelta():
        return error(
            f"the certificate in {path} expired on {identity.not_after:%Y-%m-%d}",
            why="clients that check it no longer connect",
            remedy=remedy,
        )
    soon = min(_SOON, whole * _SOON_PART)
    if left < min(_ALARM, soon):
        return error(
            f"the certificate in {path} is valid for {days} more",
            why="whatever renews it does not",
            remedy=remedy,
        )
    if left < soon:
        return warning(
            f"the certificate in {path} is valid for {days} more",
            why="it should have been renewed by now",
            remedy=remedy,
        )
    return ok(f"the certificate in {path} is valid for {days} more")


def _key(path: Path) -> Iterator[Finding]:
    try:
        found = path.stat()
    except OSError:
        return  # told where the configuration is looked at
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid not in (0, os.geteuid()):
        yield error(
            f"tls.key, {path}, belongs to the user {found.st_uid}",
            why="that user can read it, and put another in its place",
            remedy=f"sudo chown {os.geteuid()} {path}",
        )
    if mode & 0o007:
        yield error(
            f"tls.key, {path}, has the mode {mode:04o}: every user of this machine can reach it",
            why="who has the key can pose as this gateway, and read what its clients say",
            remedy=f"chmod 640 {path}",
        )
    elif mode & 0o020:
        yield error(
            f"tls.key, {path}, has the mode {mode:04o}: its group can change it",
            why="who changes it decides what the gateway shows",
            remedy=f"chmod g-w {path}",
        )
    else:
        yield ok(f"tls.key, {path}, has the mode {mode:04o}")
