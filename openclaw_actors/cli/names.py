"""Decides what a command says of a name that nobody has: which names there are, the likeliest first."""

from __future__ import annotations

__all__ = [
    "actor_names",
    "known_archive",
    "known_conversation",
    "known_session",
    "nobody_is_called",
    "session_keys",
]

import contextlib
import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from openclaw_actors.cli.common import Invocation
from openclaw_actors.cli.plain import one_line
from openclaw_actors.errors import OpenClawError

SHOWN = 8
SEARCHED = 1_000
TIMEOUT_S = 10.0


def nobody_is_called(kind: str, name: str, known: Sequence[str], *, more: str) -> OpenClawError:
    """The error that names the known ones.

    Args:
        kind: of what was named: `actor`, `session`.
        more: the command that lists all of them.
    """
    if not known:
        return OpenClawError(f"there is no {kind} '{one_line(name)}', and no other")
    near = [each for each in known if name and name in each]
    near += difflib.get_close_matches(name, known, n=SHOWN)
    ordered = list(dict.fromkeys([*near, *known]))
    rest = f" and {len(ordered) - SHOWN} more, see '{more}'" if len(ordered) > SHOWN else ""
    names = ", ".join(one_line(each) for each in ordered[:SHOWN])
    return OpenClawError(f"there is no {kind} '{one_line(name)}'; there are {names}{rest}")


def actor_names(invocation: Invocation) -> list[str]:
    """The names of all actors, as `status` prints them."""
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.admin import GetStatus, Status

    def names(node: Any) -> list[str]:
        return [node.name, *(name for child in node.children for name in names(child))]

    return names(ask(invocation, GetStatus(), Status, timeout_s=TIMEOUT_S).root)


def session_keys(invocation: Invocation, containing: str = "") -> list[str]:
    """The keys of conversations, live and stored, the last active first; not all of very many."""
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.admin import GetSessions, SessionList

    message = GetSessions(limit=SEARCHED, contains=containing)
    found = ask(invocation, message, SessionList, timeout_s=TIMEOUT_S)
    return [each.session for each in found.sessions]


def archive_names(invocation: Invocation) -> list[str]:
    """The names of archives, the newest first; not all of very many."""
    from openclaw_actors.cli.running import ask
    from openclaw_actors.messages.archive import ArchiveList, ListArchives

    found = ask(invocation, ListArchives(limit=SEARCHED), ArchiveList, timeout_s=TIMEOUT_S)
    return [each.archive for each in found.archives]


@contextlib.contextmanager
def _known(kind: str, name: str, known: Callable[[], Sequence[str]], *, more: str) -> Iterator[None]:
    from openclaw_actors.errors import AskRefused

    try:
        yield
    except AskRefused as refused:
        if refused.code != "unknown":
            raise
        raise nobody_is_called(kind, name, known(), more=more) from None


def known_session(invocation: Invocation, key: str) -> contextlib.AbstractContextManager[None]:
    """Turns the refusal of an unknown key into an error that names the known ones."""
    return _known("session", key, lambda: session_keys(invocation), more="sessions list")


def known_archive(invocation: Invocation, name: str) -> contextlib.AbstractContextManager[None]:
    """The same of archives."""
    return _known("archive", name, lambda: archive_names(invocation), more="sessions archived")


def known_conversation(invocation: Invocation, name: str) -> contextlib.AbstractContextManager[None]:
    """The same of what is either."""
    from openclaw_actors.core.archives import is_archive_name

    return (known_archive if is_archive_name(name) else known_session)(invocation, name)
