"""What a tool is, and what it may ask of the session that runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import msgspec

from openclaw_actors.config import GatewayConfig
from openclaw_actors.messages import Message, ToolSpec

if TYPE_CHECKING:
    from openclaw_actors.tools.programs import Programs

__all__ = ["Arguments", "Effect", "Tool", "ToolFailed", "ToolHost", "schema_of"]


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of what a tool is called with. The model sees each field with its type, limits and description."""


class Effect(Enum):
    """What a tool does to the world; tools of one answer run beside each other where that is safe."""

    READS = auto()
    """Runs beside others that only read."""
    CHANGES = auto()
    """Runs alone, in the order in which the model asked."""


class ToolFailed(Exception):
    """Raised by a tool that could not do what it was asked.

    Args:
        text: what the model is told: what is wrong, and what is allowed.
        status: `error`, `denied` or `timeout`.
    """

    def __init__(self, text: str, *, status: str = "error") -> None:
        super().__init__(text, status)
        self.text = text
        self.status = status


class ToolHost(Protocol):
    """The session that runs tools, as a tool sees it."""

    session: str
    """The session's key."""
    config: GatewayConfig

    @property
    def programs(self) -> Programs:
        """Runs programs; whatever tools start in another way is killed when one of these ends."""

    async def ask_store(self, message: Message) -> Any:
        """Ask the PersistenceActor, through its restarts.

        Raises:
            AskRefused: it refused.
        """

    async def ask_service(self, name: str, message: Message) -> Any:
        """Ask a service by its name, through its restarts, what may be asked twice.

        Raises:
            AskRefused: it refused.
        """

    def secret(self, key: str) -> str:
        """The value of a secret that tools of sessions may hold, by its dotted key.

        Raises:
            ToolFailed: there is none.
        """


_A = TypeVar("_A", bound=Arguments)


class Tool(ABC, Generic[_A]):
    """One tool. It is made before its session is forked, and so opens nothing and starts nothing when it is made.

    `run` may be called several times at once.
    """

    name: str
    description: str
    """For the model: what it does, when to use it, what it answers."""
    effect: Effect = Effect.CHANGES
    dangerous: bool = False
    """Asks for approval where `tooling.approval` is `dangerous`."""
    arguments: type[_A]

    def __init__(self, host: ToolHost) -> None:
        self.host = host

    @property
    def offered(self) -> bool:
        """Whether the model is told of it. One that is not offered is still called by its name, and can say why."""
        return True

    @property
    def timeout_s(self) -> float:
        """How long one call may take, in seconds; 0: until the turn ends."""
        return self.host.config.tooling.tool_timeout_seconds

    @abstractmethod
    async def run(self, arguments: _A) -> str:
        """Do it, and return what the model is told.

        Cancelled when the turn is stopped or the call's time is over: nothing of it may go on after that.

        Raises:
            ToolFailed: it could not be done.
        """

    def spec(self) -> ToolSpec:
        """The tool as the model sees it."""
        return ToolSpec(name=self.name, description=self.description, parameters=schema_of(self.arguments))


def schema_of(arguments: type[Arguments]) -> dict[str, object]:
    """The JSON Schema of a tool's arguments, as providers want it: one object, nothing referred to.

    Worked out once a process, and those of the registry before sessions are forked; nobody may change it.
    """
    known = _schemas.get(arguments)
    if known is None:
        known = _schemas[arguments] = _work_out(arguments)
    return known


_schemas: dict[type[Arguments], dict[str, object]] = {}


def _work_out(arguments: type[Arguments]) -> dict[str, object]:
    reference, components = msgspec.json.schema_components([arguments], ref_template="{name}")
    schema: dict[str, Any] = dict(components[str(reference[0]["$ref"])])
    schema.pop("title", None)
    schema.pop("description", None)
    for field in schema["properties"].values():
        # Some providers insist on a type beside the allowed values.
        if "enum" in field and all(isinstance(value, str) for value in field["enum"]):
            field.setdefault("type", "string")
    return schema
