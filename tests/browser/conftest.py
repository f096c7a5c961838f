"""Decides how a browser test gets its gateway, its browser and its page: one of the first two for all tests."""

from __future__ import annotations

__all__ = ["browser", "chat", "gateway", "gateway_config", "page", "relay", "signed_in"]

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.chat_page import TOKEN, ChatPage
from tests.browser.relay import Relay
from tests.system.gateway import Gateway

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DEADLINE_MS = 15_000
HARMLESS = "Failed to load resource"
"""The console's line for every answer that is an error: a session that does not exist yet, a token that is wrong."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put these tests last: while Playwright runs, its event loop is the thread's, and no other test can have one."""
    items.sort(key=lambda item: Path(__file__).parent in item.path.parents)


@pytest.fixture(scope="session")
def gateway_config() -> dict[str, Any]:
    return {
        "auth_token": f"raw:{TOKEN}",
        "sessions": {"max_pending": 2},
        "tooling": {"approval": "dangerous", "allow_shell": True},
        "websocket": {"messages_per_minute_per_connection": 10_000},
        "http": {"requests_per_minute_per_client": 100_000},
    }


@pytest.fixture(scope="session")
def gateway(gateway_config: dict[str, Any]) -> Iterator[Gateway]:
    """One gateway with the demo provider and a token."""
    root = Path(tempfile.mkdtemp(prefix="oca-"))
    running = Gateway(root / "0", config=gateway_config)
    try:
        yield running.start()
        running.stop()
    finally:
        running.close()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium here: the web pages are not tested")
    expect.set_options(timeout=DEADLINE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of its own, without a token. No error may appear on its console, and no dialog."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    tab = context.new_page()
    tab.set_default_timeout(DEADLINE_MS)
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("dialog", lambda dialog: (errors.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
    tab.on(
        "console",
        lambda line: errors.append(line.text) if line.type == "error" and HARMLESS not in line.text else None,
    )
    yield tab
    context.close()
    assert [each for each in errors if "WebSocket connection" not in each] == []


@pytest.fixture
def signed_in(page: Page, gateway: Gateway) -> ChatPage:
    """The chat page, not loaded yet, in a tab that has the token."""
    chat = ChatPage(page, gateway.http_url)
    chat.sign_in()
    return chat


@pytest.fixture
def relay(gateway: Gateway) -> Iterator[Relay]:
    """A proxy before the gateway."""
    relaying = Relay(gateway.http_url, gateway.ws_url)
    yield relaying
    relaying.close()


@pytest.fixture
def chat(signed_in: ChatPage, request: pytest.FixtureRequest) -> ChatPage:
    """The chat page, connected, at a session of the test's own."""
    return signed_in.open(f"{request.node.name} 1")
