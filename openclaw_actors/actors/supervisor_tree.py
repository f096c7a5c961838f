"""What the supervisor tells of itself, of its services and of health while somebody follows the tree of actors."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Protocol, cast

from openclaw_actors.actors.service import Service
from openclaw_actors.actors.tree_feed import TreeFeed, wall_time
from openclaw_actors.actorsystem import AsyncActor, handles
from openclaw_actors.messages import Address, FollowTree
from openclaw_actors.messages.tree import ActorView, TreeHealth

__all__ = ["ServiceTree", "service_view"]


class _Supervisor(Protocol):
    incarnation: int | None
    _services: dict[str, Service]
    _started_at: float
    _draining: bool
    _takes: bool
    _up: bool
    _tree: TreeFeed | None

    def _problems(self, *, all_of_them: bool = False) -> tuple[str, ...]: ...


class ServiceTree:
    """Handlers of the supervisor."""

    _tree: TreeFeed | None = None

    @handles(FollowTree)
    def follow_tree(self: _Supervisor, message: FollowTree, sender: Address) -> None:
        """The HTTP channel wants to know what becomes of the services."""
        if self._tree is None:
            # A handful of services is looked at faster than every place would say that it has changed one.
            self._tree = TreeFeed(
                cast(AsyncActor, self), "supervisor", lambda: _views(self), health=lambda: _health(self)
            )
        self._tree.follow(message, sender)

    def on_overflow(self, address: Address, message: object) -> None:
        """A service has more to do than it can."""
        if self._tree is not None:
            self._tree.not_taken(message)


def _health(supervisor: _Supervisor) -> TreeHealth:
    return TreeHealth(
        ready=supervisor._up and not supervisor._problems(),
        draining=supervisor._draining or not supervisor._takes,
        problems=supervisor._problems(all_of_them=True),
    )


def _views(supervisor: _Supervisor) -> Iterator[ActorView]:
    incarnation = supervisor.incarnation or 0
    yield ActorView(
        name="supervisor",
        kind="supervisor",
        state="running",
        pid=os.getpid(),
        incarnation=incarnation,
        restarts=max(0, incarnation - 1),
        mailbox_depth=0,
        since=wall_time(supervisor._started_at),
    )
    now = time.monotonic()
    for service in supervisor._services.values():
        yield service_view(service, now)


def service_view(service: Service, now: float) -> ActorView:
    """A service as it is told."""
    pong = service.pong
    doing = pong.doing if pong is not None else service.state
    return ActorView(
        name=service.name,
        kind="service",
        state="failed" if service.policy.failed and service.state != "stopped" else service.state,
        pid=service.pid,
        incarnation=service.incarnation,
        restarts=service.policy.total,
        mailbox_depth=pong.mailbox_depth if pong is not None else 0,
        since=wall_time(service.since),
        doing=doing,
        silent_since=wall_time(service.pinged_at) if service.silent(now) else None,
        reason=service.reason or service.died_of,
    )
