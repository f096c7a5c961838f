"""Owns what a test does on the chat page, in the words of who sits before it."""

from __future__ import annotations

__all__ = ["TOKEN", "ChatPage", "next_session"]

import itertools
import json
from urllib.parse import quote

from playwright.sync_api import Locator, Page, expect

TOKEN = "a-token.of-the_tests"
_numbers = itertools.count(1)


def next_session(name: str = "scene") -> str:
    """A session that no other test uses."""
    return f"{name} {next(_numbers)}"


class ChatPage:
    """The page in one tab."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.input = page.get_by_label("Message", exact=True)
        self.exchanges = page.locator("#entries > .exchange")
        self.last = self.exchanges.last
        self.stop = page.get_by_role("button", name="Stop", exact=True)
        self.sessions = page.get_by_role("list", name="Your sessions")
        self.banner = page.locator("#banner")

    def open(self, session: str | None = None) -> ChatPage:
        """Load the page, at a session, and wait until it is connected."""
        self.page.goto(f"{self.url}/" + (f"#s={quote(session)}" if session else ""))
        self.connected()
        return self

    def connected(self) -> None:
        expect(self.page.locator("#connection")).to_have_text("Connected", timeout=20_000)

    def sign_in(self) -> None:
        """Have the token already, as in a tab where it was given before."""
        self.page.add_init_script(f"sessionStorage.setItem('openclaw.token', {json.dumps(TOKEN)})")

    def write(self, text: str) -> None:
        self.input.fill(text)

    def say(self, text: str) -> None:
        """Write a message and press Enter."""
        self.write(text)
        self.input.press("Enter")

    def ask(self, text: str) -> Locator:
        """Say something, and wait for the end of its answer."""
        before = self.exchanges.count()
        self.say(text)
        mine = self.exchanges.nth(before)
        expect(mine).to_have_attribute("data-state", "completed", timeout=20_000)
        return mine

    def with_text(self, text: str) -> Locator:
        """The exchange whose message is this."""
        return self.exchanges.filter(has=self.page.locator(".bubble", has_text=text))

    def state(self, exchange: Locator, state: str) -> None:
        expect(exchange).to_have_attribute("data-state", state, timeout=20_000)

    def answer(self, exchange: Locator) -> Locator:
        return exchange.locator(".markdown")
