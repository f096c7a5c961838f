"""The actor system: Thespian on an asyncio transport over Unix sockets, and the actor class that everything
stands on.

- `AsyncActor`, `handles`: how actors are written (`actor.py`).
- `GatewaySystem`: starts and ends a system from a running event loop (`system.py`).
- `Endpoint`: asks actors from outside (`endpoint.py`).
- `UnixSystemBase`: the same system under Thespian's own `ActorSystem` (`base.py`).
- `Address`, `address_key`, `ActorFailed`, `Limits`, and what `start` needs to leave nothing behind (`process.py`).
"""

from __future__ import annotations

from openclaw_actors.actorsystem.actor import AsyncActor, Later, handles
from openclaw_actors.actorsystem.address import MAX_SOCKET_PATH, Address, address_key, run_dir_fits
from openclaw_actors.actorsystem.base import UnixSystemBase, prepare_run_dir
from openclaw_actors.actorsystem.endpoint import Endpoint
from openclaw_actors.actorsystem.failed import ActorFailed
from openclaw_actors.actorsystem.limits import DEFAULT_LIMITS, Limits
from openclaw_actors.actorsystem.process import (
    become_subreaper,
    end_descendants,
    raise_open_files_limit,
    reap_orphans,
)
from openclaw_actors.actorsystem.system import GatewaySystem

__all__ = [
    "DEFAULT_LIMITS",
    "MAX_SOCKET_PATH",
    "ActorFailed",
    "Address",
    "AsyncActor",
    "Endpoint",
    "GatewaySystem",
    "Later",
    "Limits",
    "UnixSystemBase",
    "address_key",
    "become_subreaper",
    "end_descendants",
    "handles",
    "prepare_run_dir",
    "raise_open_files_limit",
    "reap_orphans",
    "run_dir_fits",
]
