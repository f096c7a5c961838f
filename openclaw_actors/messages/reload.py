"""Another configuration for a gateway that runs: from who asks for it, to whom it concerns."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from openclaw_actors.messages.base import Plain, Value

__all__ = [
    "ActorOutcome",
    "ConfigurationRead",
    "ForkedWith",
    "KeyChange",
    "OutcomeKind",
    "ReadConfiguration",
    "Reconfigure",
    "Reconfigured",
    "Reload",
    "Reloaded",
    "SettingsOffered",
    "WatchSettings",
]

OutcomeKind: TypeAlias = Literal[
    "told", "restarted", "started", "ended", "kept_old", "to_tell", "to_restart", "to_start", "to_end"
]
"""What was done to an actor, or, in a dry run and for who passes the answer on, what is to be done."""


class Reload(Plain):
    """operator -> supervisor: read the configuration again, and run on it (an ask). Answered by `Reloaded`.

    Refused with code `busy` while another reload is under way, `draining`, or `unavailable`.
    """

    dry_run: bool = False
    """Say what would happen, and change nothing."""
    through: str = ""
    """Name of the service that passes this on; if it has to be restarted, that comes after the answer."""


class KeyChange(Value):
    """One key that is another than before."""

    key: str
    before: str
    """As a person may see it: secrets are masked."""
    after: str
    effect: Literal["at_once", "actor_restart", "gateway_restart"]
    """When it takes effect; with `gateway_restart` the value before stays in force until then."""


class ActorOutcome(Value):
    """What became of one actor."""

    name: str
    """As in the tree; `start` and `sessions`, too."""
    outcome: OutcomeKind
    """`kept_old`: it did not come up on the new configuration, and goes on with the one before, alone."""
    text: str = ""
    """One line more: why, or what it means."""
    keys: tuple[str, ...] = ()
    """That concern it."""


class Reloaded(Plain):
    """What a reload has done, or would do."""

    code: Literal["reloaded", "unchanged", "partly", "refused", "dry_run"]
    """`partly`: an actor goes on with what was before; `refused`: there are problems, and nothing has changed."""
    text: str
    """One line for a person."""
    generation: int
    """Of the configuration in force; rises by one with each change, and begins anew with the supervisor."""
    changes: tuple[KeyChange, ...] = ()
    actors: tuple[ActorOutcome, ...] = ()
    problems: tuple[str, ...] = ()
    """Why the configuration was not taken, one line each."""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


class ReadConfiguration(Plain):
    """supervisor -> configuration reader: read it again (an ask). Answered by `ConfigurationRead`."""

    origin: bytes
    """As `config.origin` writes it."""
    settings: bytes
    """What is in force."""
    secrets: dict[str, str]


class ConfigurationRead(Plain):
    """What there is now. Without problems the reader stays, with the vault that it holds, until it is ended."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    settings: bytes = b""
    wanted: bytes = b""
    """With what only another start of the gateway can change."""
    secrets: dict[str, str] = msgspec.field(default_factory=dict)
    origin: bytes = b""
    other_values: tuple[str, ...] = ()
    vault: str = ""
    """Path of a new vault, below /proc of the reader; empty: the one before does."""
    good: bytes = b""
    """What is kept for the next start, once this is in force."""


class Reconfigure(Plain):
    """supervisor -> service: run on this from now on (an ask). Answered by `Reconfigured`.

    Refused with code `configuration`: it cannot, and goes on as before.
    """

    settings: bytes
    secrets: dict[str, str]


class Reconfigured(Plain):
    """It does."""

    text: str = ""
    """One line more for a person."""


class ForkedWith(Plain):
    """router -> session: run on this, from the next turn on."""

    settings: bytes
    secrets: dict[str, str]


class WatchSettings(Plain):
    """start -> supervisor: what comes next? (an ask) Answered by `SettingsOffered`, when there is something.

    Asking again says that what was offered before is taken.
    """

    vault: str = ""
    """Where the vault is that was offered last, now that `start` holds it."""


class SettingsOffered(Plain):
    """supervisor -> start: hold a vault, or build the next root from this."""

    vault: str = ""
    """To be opened and held; all else is empty then."""
    settings: bytes = b""
    secrets: dict[str, str] = msgspec.field(default_factory=dict)
    origin: bytes = b""
    good: bytes = b""
    """To be kept for the next start; empty: nothing new."""
    ws: str = ""
    """HOST:PORT."""
    http: str = ""
