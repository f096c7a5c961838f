"""Life cycle of actors: set-up, the directory of addresses, watchdog, drain."""

from __future__ import annotations

import msgspec

from openclaw_actors.messages.base import Address, Plain

__all__ = [
    "Directory",
    "Drain",
    "Drained",
    "Init",
    "InitFailed",
    "InitSession",
    "Intake",
    "Ping",
    "Pong",
    "Ready",
    "ServiceRef",
]


class ServiceRef(Plain):
    """Where a service lives now."""

    address: Address
    incarnation: int
    """Rises by one each time the supervisor starts the service anew."""
    instance: str = ""
    """Unique for ever, across boots too: tells whether a connection-bound session's channel still lives."""
    bound: str = ""
    """HOST:PORT, of a channel that listens."""
    offers: str = ""
    """Another text whenever what the service offers (an MCP server its tools) has changed; empty until it is up."""


class Directory(Plain):
    """The addresses of all services. The supervisor sends it to each of them whenever one is replaced."""

    generation: int
    """A directory with a lower generation than the one known is stale and ignored."""
    services: dict[str, ServiceRef]
    """By name: `persistence`, `model`, `router`, `websocket`, `http`, `mcp:NAME`, …"""


class Init(Plain):
    """First message to a service (an ask): set yourself up. Answered by `Ready` or `InitFailed`."""

    name: str
    incarnation: int
    instance: str
    settings: bytes
    """The configuration, as `config.encode` writes it."""
    directory: Directory
    secrets: dict[str, str] = msgspec.field(default_factory=dict)
    """Dotted key -> reference, of the secrets that this service needs and no others. It resolves them itself:
    `file:PATH`, or `vault:PATH:NAME` for what stood in the environment or in the configuration. `InitFailed` with the
    code `configuration` if one leads nowhere. The supervisor gets all of them, to pass on."""
    origin: bytes = b""
    """To the supervisor: where the configuration comes from, as `config.origin` writes it."""


class InitSession(Plain):
    """First message to a session (an ask): open your conversation. Answered by `Ready` or `InitFailed`."""

    session: str
    settings: bytes
    directory: Directory
    followers: frozenset[str] = frozenset()
    """Names of the channels that want this session's events."""
    secrets: dict[str, str] = msgspec.field(default_factory=dict)
    """Dotted key -> reference, of what tools need in the session itself; resolved when one is called."""
    deaths: int = 0
    """1: the incarnation before died by its own doing, so the turn that ran then is to blame."""


class Ready(Plain):
    """The actor is set up and serves."""

    pid: int
    incarnation: int
    detail: dict[str, str] = msgspec.field(default_factory=dict)
    """What the operator may want to know, such as the port that was bound."""


class InitFailed(Plain):
    """The actor could not set itself up; it exits after this."""

    reason: str
    """One line for a person: what is wrong and what to do."""
    code: str = "failed"
    """`port_in_use`, `corrupt`, `unavailable`, `locked`, `configuration` or `failed`."""


class Ping(Plain):
    """Are you alive? (an ask) Answered at once by `Pong`, whatever else the actor is doing."""


class Pong(Plain):
    """What an actor says of itself."""

    pid: int
    incarnation: int
    mailbox_depth: int = 0
    doing: str = "idle"
    """A few words without user text: `idle`, `turn 12 s`, `writing`, …"""
    problems: tuple[str, ...] = ()
    """Why this actor is not healthy; empty when it is."""
    warnings: tuple[str, ...] = ()
    """What a person must see to, though nothing is refused for it."""
    gauges: dict[str, float] = msgspec.field(default_factory=dict)
    """What this actor alone can tell of the present: series, as `core.series` writes it, to value. What it counts
    stands in memory that outlives it."""


class Drain(Plain):
    """Stop taking work, finish what runs within the grace period (an ask). Answered by `Drained`."""

    grace_s: float


class Intake(Plain):
    """supervisor -> router and channels: refuse new messages from now on, or take them again (an ask).

    What was accepted goes on, connections stay. Answered by `Drained`. Whoever drains for good goes on draining.
    """

    open: bool


class Drained(Plain):
    """Nothing is left to finish here."""

    unfinished: int = 0
    """Turns that were checkpointed and will be resumed at the next start."""
