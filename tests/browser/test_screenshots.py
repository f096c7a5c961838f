"""Takes the pictures of `docs/screenshots/`, where OPENCLAW_SCREENSHOTS names a directory; shows what people see."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chat_page import ChatPage
from tests.browser.dashboard_page import DashboardPage
from tests.browser.relay import Relay
from tests.system.gateway import Gateway

WHERE = os.environ.get("OPENCLAW_SCREENSHOTS", "")
SIZES = {360: 740, 800: 900, 1600: 1000}
STORY = """# Otters

They hold **hands** while they sleep, so that nobody drifts away:

1. They wrap themselves in *kelp*.
2. They float on their backs.

```python
def drift(otter, hours):
    return [sleep(otter) for _ in range(hours)]
```

| what | how much |
|---|---|
| sleep | 11 h |
| food | a quarter of their weight |
"""

pytestmark = pytest.mark.skipif(not WHERE, reason="pictures are taken where OPENCLAW_SCREENSHOTS says")


def take(page: Page, name: str, theme: str) -> None:
    for width, height in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(250)  # nothing tells that a transition has ended
        page.screenshot(path=Path(WHERE) / f"{name}-{theme}-{width}.png")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(page: Page, relay: Relay, theme: str) -> None:
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": 1600, "height": 1000})
    chat = ChatPage(page, relay.url)
    page.goto(relay.url)
    expect(page.get_by_role("dialog", name="Token")).to_be_visible()
    take(page, "token", theme)
    chat.sign_in()
    page.reload()  # for the token to be there
    chat.open(f"Holiday {theme}")
    for session in ("Garden", "Invoices of October", "A very long name of a session that does not fit"):
        page.goto(f"{relay.url}/#s={session}")
        expect(page.get_by_role("heading", level=1)).to_have_text(session)
        chat.ask("hello")
    chat.open(f"Otters {theme}")
    take(page, "empty", theme)
    chat.ask(STORY)
    take(page, "answered", theme)
    chat.say('/demo tool shell {"command": "ls -l /tmp"}')
    for text in ("And what do they eat?", "Where do they live?", "One too many"):
        chat.say(text)
    expect(chat.with_text("One too many").locator(".fate")).to_contain_text("Not taken")
    chat.page.locator("#to-end").click() if chat.page.locator("#to-end").is_visible() else None
    take(page, "busy", theme)
    page.get_by_role("button", name="Stop all").click()
    chat.state(chat.with_text("Where do they live"), "stopped")
    page.set_viewport_size({"width": 360, "height": 740})
    page.get_by_role("button", name="Sessions", exact=True).click()
    page.wait_for_timeout(250)
    page.screenshot(path=Path(WHERE) / f"sessions-{theme}-360.png")
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 1600, "height": 1000})
    page.get_by_role("button", name="Keyboard shortcuts").click()
    take(page, "help", theme)
    page.keyboard.press("Escape")
    relay.cut()
    chat.say("Sent later")
    expect(chat.last.locator(".fate")).to_have_text("Waits for the connection")
    expect(chat.banner).to_be_visible()
    take(page, "broken", theme)
    relay.mend()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_of_the_dashboard(signed_in: ChatPage, theme: str, gateway: Gateway) -> None:
    page = signed_in.page
    page.emulate_media(color_scheme=theme)
    for session in ("Garden", "Invoices", "Otters"):
        signed_in.open(f"{session} {theme}").ask("hello")
    signed_in.open(f"Kitchen {theme}").say("/demo slow 30")
    signed_in.open(f"Holiday {theme}").say('/demo tool shell {"command": "ls -l"}')
    expect(signed_in.last.get_by_role("button", name="Approve")).to_be_visible()
    dashboard = DashboardPage(page, gateway.http_url).open()
    key = f"websocket:default:Garden {theme}"
    os.kill(dashboard.pid(key), signal.SIGKILL)
    expect(dashboard.cell(key, "restarts")).to_have_text("1")
    os.kill(dashboard.pid(f"websocket:default:Kitchen {theme}"), signal.SIGSTOP)
    expect(dashboard.worries).to_have_count(2)
    page.wait_for_timeout(5_000)  # for the plots to show something
    take(page, "dashboard", theme)
    page.set_viewport_size({"width": 1600, "height": 1000})
    dashboard.row(key).get_by_role("button", name=key, exact=True).click()
    dashboard.detail.locator("summary").first.click()
    take(page, "dashboard-session", theme)
    dashboard.detail.get_by_role("button", name="Delete").click()
    take(page, "dashboard-question", theme)
