"""Decides what the admin process is: Thespian's admin on our transport, a true child of the process that
starts a system.

It holds the top-level actors, global names and the dead letter handler. It has no logger process and does not
daemonise; if it dies, the kernel kills everything below it.
"""

# ruff: noqa: N802 - the names and signatures are Thespian's
from __future__ import annotations

__all__ = ["UnixAdmin", "run_admin"]

import logging
import os
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from thespian.actors import ActorAddress, ActorExitRequest
from thespian.system.systemAdmin import ThespianAdmin
from thespian.system.transport import TransmitIntent, TransmitOnly

from openclaw_actors.actorsystem.address import Address, address_key
from openclaw_actors.actorsystem.envelope import Envelope
from openclaw_actors.actorsystem.failed import ActorFailed
from openclaw_actors.actorsystem.framing import ANSWER
from openclaw_actors.actorsystem.limits import Limits
from openclaw_actors.actorsystem.manager import Replicator
from openclaw_actors.actorsystem.process import name_process
from openclaw_actors.actorsystem.transport import UnixTransport

logger = logging.getLogger(__name__)


class UnixAdmin(Replicator, ThespianAdmin):
    """Thespian's admin, with our forking and sending."""

    transport: UnixTransport

    def handleIncoming(self, envelope: Envelope) -> Any:
        if envelope.ask_id:  # nobody asks an admin but who wants to know whether it lives
            payload = self.transport.encode(os.getpid())
            self.transport.answer(envelope.sender, envelope.ask_id, ANSWER, payload)
            return True
        if isinstance(envelope.message, ActorFailed):
            logger.error("a top-level actor failed: %s", envelope.message.reason)
            return True
        return super().handleIncoming(envelope)

    def _killLocalActors(self) -> None:
        """Have every top-level actor exit, in time or by SIGKILL."""
        for each in self.childAddresses:

            def unreachable(_result: Any, _intent: Any, child: ActorAddress = each) -> None:
                if self.children.find(address_key(child)) is None:
                    self._handleChildExited(child)

            self._send_intent(TransmitIntent(each, ActorExitRequest(recursive=True), onError=unreachable))
        limit_s = self.transport.limits.stop_s * 1.5  # their own children come first
        self.transport.loop.call_later(limit_s, self._kill_children)

    def _kill_children(self) -> None:
        for child in self.children:
            logger.warning("a top-level actor did not exit in time and is killed (pid %d)", child.pid)
            self.children.kill(child)

    def _cleanupAdmin(self, finish_cleanup: Callable[[], None]) -> None:
        """Thespian ends its logger process here (`multiprocCommon.py:475`); there is none."""
        finish_cleanup()


def run_admin(
    run_dir: str, limits: Limits, capabilities: dict[str, Any], path: str, listener: socket.SocketType
) -> int:
    """Be the admin, from just after the fork to the exit code."""
    name_process("admin")
    address = Address(path)
    transport = UnixTransport(run_dir=run_dir, admin=address, limits=limits, path=path, listener=listener)
    admin = UnixAdmin(transport, address, capabilities, None, None)
    admin._activate()
    try:
        admin.run()
        transport.run(TransmitOnly, maximumDuration=timedelta(seconds=limits.stop_s))
        return 0
    finally:
        transport.close()
