"""What operators ask the supervisor for about conversations, answered by asking the router and the store."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from openclaw_actors.actors.operations import Operations
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import (
    ArchiveList,
    ArchivesPurged,
    DeleteSession,
    Done,
    EventsPage,
    GetEvents,
    GetSessions,
    ListArchives,
    ListSessions,
    Message,
    PurgeArchives,
    ReadEvents,
    ReadRecords,
    ReadSession,
    RestartSession,
    RestoreSession,
    SessionDeleted,
    SessionDetail,
    SessionList,
    SessionPage,
    SessionSummary,
    ShowSession,
    StatusNode,
    StopActor,
    StopOutcome,
    StopSession,
    StopTurn,
)

__all__ = ["SessionOperations", "SessionRequest"]

SessionRequest: TypeAlias = (
    DeleteSession
    | GetEvents
    | GetSessions
    | ListArchives
    | PurgeArchives
    | ReadRecords
    | RestartSession
    | RestoreSession
    | ShowSession
    | StopSession
)
_MOVE_S = 90.0
"""A running turn is stopped first, and the store may have to wait for its disk."""


class SessionOperations:
    """Operators' requests about conversations.

    Args:
        operations: asks the services.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def answer(self, request: SessionRequest) -> Message:
        """The answer to a request. Raises AskRefused."""
        match request:
            case GetSessions():
                return await self._list(request)
            case ShowSession():
                return await self._show(request)
            case GetEvents():
                return await self._events(request)
            case StopSession():
                return await self._stop(request)
            case RestartSession():
                return await self.restart(request.session)
            case DeleteSession():
                return await self._delete(request)
            case RestoreSession():
                return await self._restore(request)
        answer: Message = await self._operations.ask("persistence", request, timeout_s=_MOVE_S)
        return answer

    async def _list(self, request: GetSessions) -> SessionList:
        """Those of which nothing is stored yet stand in the tree alone."""
        live = {node.name: node for node in (await self._operations.children()).nodes}
        wanted = ListSessions(
            offset=request.offset,
            limit=request.limit,
            contains=request.contains,
            prefix=request.prefix,
            state="stored" if request.state == "live" else request.state,
            order=request.order,
            reverse=request.reverse,
            only=tuple(live) if request.state == "live" else None,
            without=tuple(live) if request.state == "stored" else (),
        )
        page: SessionPage = await self._operations.ask("persistence", wanted)
        found = [_marked(each, live) for each in page.sessions]
        return SessionList(sessions=tuple(found), total=page.total)

    async def _show(self, request: ShowSession) -> SessionDetail:
        events: EventsPage = await self._operations.ask(
            "persistence", ReadSession(session=request.session, last=request.last)
        )
        summary = await self._summary(request.session)
        if summary is None:
            raise AskRefused("unknown", f"no session {request.session}")
        live = {node.name: node for node in (await self._operations.children()).nodes}
        return SessionDetail(
            summary=_marked(summary, live), live=live.get(request.session), events=events.events
        )

    async def _events(self, request: GetEvents) -> EventsPage:
        page: EventsPage = await self._operations.ask(
            "persistence",
            ReadEvents(session=request.session, after_seq=request.after_seq, max_events=request.max_events),
        )
        if not page.events:
            # A session without events is none: the store refuses to read its newest.
            await self._operations.ask("persistence", ReadSession(session=request.session, last=1))
        return page

    async def _summary(self, session: str) -> SessionSummary | None:
        wanted = ListSessions(only=(session,), limit=1_000)
        page: SessionPage = await self._operations.ask("persistence", wanted)
        by_state = sorted(page.sessions, key=lambda each: each.state == "quarantined")
        return by_state[0] if by_state else None

    async def _stop(self, request: StopSession) -> Done:
        """First of all it is stopped: whether there is such a session only matters if there was nothing to stop."""
        key = request.session
        outcome: StopOutcome = await self._operations.ask(
            "router", StopTurn(session=key, queue=request.queue)
        )
        if outcome.stopped:
            turns = "turn" if outcome.stopped == 1 else "turns"
            return Done(text=f"stopped {outcome.stopped} {turns} of {key}", code="stopped")
        await self._must_be_known(key)
        return Done(text=f"nothing runs in {key}", code="nothing_to_stop")

    async def restart(self, session: str) -> Done:
        """Kills the session's process; its next incarnation continues. Raises AskRefused: `unknown`, `busy`."""
        try:
            done: Done = await self._operations.ask("router", RestartSession(session=session))
        except AskRefused as refusal:
            if refusal.code != "unknown":
                raise
            await self._must_be_known(session)
            return Done(text=f"{session} has no process now; its next message starts one", code="asleep")
        return done

    async def end(self, session: str) -> Done:
        """Has the session leave memory. Raises AskRefused: `unknown`, `busy`."""
        try:
            done: Done = await self._operations.ask("router", StopActor(name=session))
        except AskRefused as refusal:
            if refusal.code != "unknown":
                raise
            await self._must_be_known(session)
            return Done(text=f"{session} has no process; its next message starts one", code="asleep")
        return done

    async def _must_be_known(self, session: str) -> None:
        live = (await self._operations.children()).nodes
        if any(node.name == session for node in live):
            return
        try:
            summary = await self._summary(session)
        except AskRefused:
            return  # nobody can say at the moment
        if summary is None:
            raise AskRefused("unknown", f"no session {session}")

    async def _delete(self, request: DeleteSession) -> SessionDeleted:
        done: SessionDeleted = await self._operations.ask("router", request, timeout_s=_MOVE_S)
        if not request.purge:
            return done
        names = tuple(each.archive for each in done.archives)
        purged: ArchivesPurged = await self._operations.ask(
            "persistence", PurgeArchives(names=names), timeout_s=_MOVE_S
        )
        return msgspec.structs.replace(done, archives=purged.archives, purged=True)

    async def _restore(self, request: RestoreSession) -> Message:
        found: ArchiveList = await self._operations.ask("persistence", ListArchives(name=request.name))
        if not found.archives:
            raise AskRefused("unknown", f"no archive {request.name}")
        whole = [each for each in found.archives if each.state == "archived"]
        newest = (whole or found.archives)[0]
        wanted = msgspec.structs.replace(request, name=newest.archive, session=newest.session)
        answer: Message = await self._operations.ask("router", wanted, timeout_s=_MOVE_S)
        return answer


def _marked(summary: SessionSummary, live: dict[str, StatusNode]) -> SessionSummary:
    if summary.session in live and summary.state == "stored":
        return msgspec.structs.replace(summary, state="live")
    return summary
