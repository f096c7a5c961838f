"""Keeps the model's callers within their day's budgets; what was used, the store's ledger knows."""

from __future__ import annotations

import logging
import time

from openclaw_actors.actors.directory import ServiceDirectory
from openclaw_actors.actorsystem import AsyncActor
from openclaw_actors.config.sections import LlmConfig
from openclaw_actors.core.breaker import Outcome
from openclaw_actors.core.daily import DayBudget
from openclaw_actors.core.principals import principal_of
from openclaw_actors.errors import AskRefused
from openclaw_actors.messages import Complete, DayUsage, Directory, GetDayUsage, Usage, UsageNoted
from openclaw_actors.providers import CallError

__all__ = ["ModelLedger"]

logger = logging.getLogger(__name__)

_STORE_TIMEOUT_S = 5.0
_ASK_AGAIN_S = 30.0
_NO_SESSION = "http:"


class ModelLedger:
    """The budgets of a day, before each call.

    Args:
        actor: the model's, in whose name the store is asked.
    """

    def __init__(self, actor: AsyncActor, directory: Directory, llm: LlmConfig) -> None:
        self._actor = actor
        self._directory = ServiceDirectory(directory)
        self._budget = DayBudget(each=llm.tokens_per_day_per_principal, all_=llm.tokens_per_day)
        self._model = "demo" if llm.provider == "demo" else llm.model
        self._asked_at: float | None = None

    def use(self, llm: LlmConfig) -> None:
        """Other budgets hold; what is used of them stays used."""
        self._budget.each, self._budget.all = llm.tokens_per_day_per_principal, llm.tokens_per_day
        self._model = "demo" if llm.provider == "demo" else llm.model

    def learn(self, directory: Directory) -> None:
        """A service was replaced."""
        self._directory.update(directory)

    async def admit(self, session: str) -> None:
        """Let a call pass, or not.

        Raises:
            CallError: the day's budget is used up.
        """
        if not self._budget:
            return
        if self._asked_at is None or time.monotonic() - self._asked_at >= _ASK_AGAIN_S:
            await self._read()
        refusal = self._budget.refusal(principal_of(session), time.time())
        if refusal is not None:
            raise CallError(
                code="budget",
                text=refusal,
                detail="the day's token budget is used up",
                outcome=Outcome.UNKNOWN,
            )

    def spent(self, request: Complete, usage: Usage, status: str, seconds: float, *, model: str = "") -> None:
        """A call was made. Those of turns reach the ledger with their ends; summaries and all others do from here.

        Args:
            model: who answered, where that need not be the one that was asked for.
        """
        if not usage.total:
            return
        now = time.time()
        self._budget.spend(principal_of(request.session), usage, now)
        store = self._directory.address("persistence")
        of_turn = request.purpose != "summary" and not request.session.startswith(_NO_SESSION)
        if of_turn or store is None:
            return
        self._actor.send(
            store,
            UsageNoted(
                caller=request.session,
                model=request.model or model or self._model,
                usage=usage,
                seconds=seconds,
                status=status,
                at=now,
            ),
        )

    async def _read(self) -> None:
        """Learn what was used before this process began, and what it did not hear of."""
        first = self._asked_at is None
        self._asked_at = time.monotonic()
        try:
            found: DayUsage = await self._directory.ask(
                self._actor, "persistence", GetDayUsage(), timeout_s=_STORE_TIMEOUT_S
            )
        except AskRefused as refusal:
            logger.error("what was used today cannot be read: %s", refusal)
            self._asked_at = None if first else self._asked_at
        else:
            self._budget.learn(found.day, found.principals, found.total)
