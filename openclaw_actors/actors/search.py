"""SearchActor: the only process that holds a search engine's key. It asks the engine for the tools of all sessions.

A session runs what a model asks for, and could be led to give away what it holds; so it holds no key.
"""

from __future__ import annotations

import asyncio
import logging
import os

from openclaw_actors import logs
from openclaw_actors.actors.own_secrets import own_secrets
from openclaw_actors.actors.replaceable import Replaceable
from openclaw_actors.actorsystem import AsyncActor, handles
from openclaw_actors.config import decode
from openclaw_actors.errors import AskRefused, ConfigError
from openclaw_actors.messages import (
    Address,
    Directory,
    Drain,
    Drained,
    Init,
    InitFailed,
    Ping,
    Pong,
    Ready,
    Reconfigure,
    Reconfigured,
    SearchWeb,
    WebFound,
)
from openclaw_actors.tools.searching import Searcher, SearchFailed

__all__ = ["SearchActor"]

logger = logging.getLogger(__name__)

_MOST_AT_ONCE = 32
_KEY = "plugins.native.web_search.api_key"


class SearchActor(AsyncActor):
    """Searches the web."""

    process_name = "search"

    def __init__(self) -> None:
        super().__init__()
        self._searchers: Replaceable[Searcher] | None = None
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @handles(Init)
    def initialise(self, message: Init, sender: Address) -> Ready | InitFailed:
        """Gets ready to search; nobody is asked yet."""
        self.incarnation = message.incarnation
        settings = decode(message.settings).plugins.native.web_search
        try:
            searcher = Searcher(settings, own_secrets(message).get(_KEY))
        except ConfigError as error:
            self.stop_after_answer("not usable")
            return InitFailed(reason=str(error), code="configuration")
        self._searchers = Replaceable(searcher, lambda coro: self.spawn(coro, name="close a searcher"))
        return Ready(pid=os.getpid(), incarnation=message.incarnation, detail={"provider": settings.provider})

    @handles(Reconfigure)
    def reconfigure(self, message: Reconfigure, sender: Address) -> Reconfigured:
        """Asks in another way from now on."""
        config = decode(message.settings)
        try:
            searcher = Searcher(config.plugins.native.web_search, own_secrets(message).get(_KEY))
        except ConfigError as error:
            raise AskRefused("configuration", str(error)) from None
        if self._searchers is not None:
            self._searchers.replace(searcher)
        logs.use(level=config.logging.level, form=config.logging.format)
        return Reconfigured()

    @handles(Directory)
    def learn_addresses(self, message: Directory, sender: Address) -> None:
        """Answers go to who asks; no address is needed."""

    @handles(Ping)
    def sign_of_life(self, message: Ping, sender: Address) -> Pong:
        """Says how many searches are under way."""
        return Pong(
            pid=os.getpid(),
            incarnation=self.incarnation or 0,
            mailbox_depth=self.mailbox_depth,
            doing=f"{self._running} searches" if self._running else "idle",
        )

    @handles(Drain)
    async def drain(self, message: Drain, sender: Address) -> Drained:
        """Lets searches end within the grace period; the turns that wait for them are over, or begin again."""
        try:
            async with asyncio.timeout(message.grace_s):
                await self._idle.wait()
        except TimeoutError:
            pass  # who waits has a deadline of its own
        return Drained()

    async def on_stop(self) -> None:
        """Closes the engine's connections."""
        if self._searchers is not None:
            await self._searchers.close()

    @handles(SearchWeb)
    async def search(self, message: SearchWeb, sender: Address) -> WebFound:
        """Asks the engine."""
        if self._searchers is None or self._running >= _MOST_AT_ONCE:
            raise AskRefused("busy", "too many searches are under way; try again in a moment")
        self._running += 1
        self._idle.clear()
        try:
            with self._searchers.used() as searcher:
                return WebFound(hits=await searcher.search(message.query, message.max_results))
        except SearchFailed as failure:
            logger.warning("a search failed: %s", failure.text)
            raise AskRefused(failure.code, failure.text) from None
        except Exception:
            # Asked again of the next incarnation, the same answer of the engine would end that one, too.
            logger.exception("a search failed")
            raise AskRefused("failed", "the answer of the search engine could not be understood") from None
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
