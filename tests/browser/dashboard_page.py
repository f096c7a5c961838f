"""Owns what a test does on the dashboard, in the words of who sits before it."""

from __future__ import annotations

__all__ = ["STAND_IN", "DashboardPage", "crowd"]

import json
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.chat_page import TOKEN

STAND_IN = """
(() => {
  const real = window.fetch;
  const early = [];
  window.push = (name, data) => early.push([name, data]);
  window.fetch = (place, options) => {
    if (String(place) !== "/api/events") return real(place, options);
    const stream = new ReadableStream({
      start(out) {
        window.push = (name, data) =>
          out.enqueue(new TextEncoder().encode(`event: ${name}\\ndata: ${JSON.stringify(data)}\\n\\n`));
        for (const [name, data] of early.splice(0)) window.push(name, data);
      },
    });
    return Promise.resolve(new Response(stream, { headers: { "Content-Type": "text/event-stream" } }));
  };
})();
"""
"""Lets a test say what the gateway says: more sessions than a test can afford to start, or worse than it can break."""


class DashboardPage:
    """The page in one tab."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.worries = page.locator("#worries > li")
        self.detail = page.locator("#detail")
        self.rows = page.locator("#sessions .body .actor")
        self.news = page.locator("#news")
        page.add_init_script(f"sessionStorage.setItem('openclaw.token', {json.dumps(TOKEN)})")

    def open(self, *, live: bool = True) -> DashboardPage:
        self.page.goto(f"{self.url}/dashboard")
        if live:
            expect(self.page.locator("#connection")).to_have_text("Live")
            expect(self.row("router")).to_be_visible()
        return self

    def row(self, name: str) -> Locator:
        return self.page.locator(f".actor[data-name={json.dumps(name)}]")

    def cell(self, name: str, column: str) -> Locator:
        return self.row(name).locator(f":scope > .{column}")

    def pid(self, name: str) -> int:
        """Of an actor that runs."""
        expect(self.cell(name, "state")).to_have_text("running")
        return int(self.cell(name, "pid").text_content() or "")

    def mean(self, action: str) -> None:
        """Say that it is meant."""
        self.page.get_by_role("dialog").get_by_role("button", name=action, exact=True).click()

    def push(self, name: str, data: Any) -> None:
        """Have the gateway say something, where `STAND_IN` stands for it."""
        self.page.evaluate("([name, data]) => window.push(name, data)", [name, data])


def actor(name: str, kind: str = "session", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "state": "running",
        "pid": 4000,
        "incarnation": 1_000_001,
        "restarts": 0,
        "mailbox_depth": 0,
        "since": 1_790_000_000.0,
        "activity": "idle",
        "doing": "idle",
        "doing_since": None,
        "silent_since": None,
        "reason": "",
        **fields,
    }


def crowd(count: int) -> dict[str, Any]:
    """A snapshot with so many sessions."""
    services = [actor(name, "service") for name in ("supervisor", "persistence", "router", "http")]
    sessions = [actor(f"websocket:default:room {number:04}") for number in range(count)]
    return {
        "at": 1_790_000_100.0,
        "actors": [*services, *sessions],
        "health": {"ready": True, "draining": False, "problems": []},
        "memory": {each["name"]: 50_000_000 for each in sessions},
    }
