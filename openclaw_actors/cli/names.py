"""Decides what a command says of a name that nobody has: which names there are, the likeliest first."""

from __future__ import annotations

__all__ = ["actor_names", "nobody_is_called", "session_keys"]

import difflib
from collections.abc import Sequence
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
