"""The operator's dashboard: what happens is seen as it happens, and what is wrong can be ended from there."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chat_page import TOKEN, ChatPage, next_session
from tests.browser.dashboard_page import STAND_IN, DashboardPage, actor, crowd
from tests.browser.test_safety import INJECTIONS, SCRIPT_BYTES, violations
from tests.system.api.test_operations import talk
from tests.system.gateway import Gateway

MANY = 200
SLOW_FRAME_MS = 250.0
"""On a machine that is busy with other tests; by itself a frame with 200 changes takes a tenth of it."""


@pytest.fixture
def dashboard(page: Page, gateway: Gateway) -> DashboardPage:
    return DashboardPage(page, gateway.http_url)


@pytest.fixture
def staged(page: Page, gateway: Gateway) -> DashboardPage:
    """The page, with the test in the place of the stream of events."""
    page.add_init_script(STAND_IN)
    return DashboardPage(page, gateway.http_url).open(live=False)


def speak(gateway: Gateway, text: str, session: str) -> None:
    """Have a turn; in a thread, for Playwright has a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(talk, gateway, text, session=session, token=TOKEN).result(60)


def conversation(gateway: Gateway) -> str:
    """A session with a turn behind it; returns its key."""
    session = next_session("seen")
    speak(gateway, "hello", session)
    return f"websocket:default:{session}"


def test_a_session_is_killed_and_seen_to_return(dashboard: DashboardPage, gateway: Gateway) -> None:
    dashboard.open()
    key = conversation(gateway)
    first = dashboard.pid(key)
    dashboard.row(key).get_by_role("button", name=f"Restart {key}").click()
    expect(dashboard.page.get_by_role("dialog")).to_contain_text("continues at its last record")
    dashboard.mean("Cancel")
    assert dashboard.pid(key) == first
    dashboard.row(key).get_by_role("button", name=f"Restart {key}").click()
    dashboard.mean("Restart")
    expect(dashboard.cell(key, "pid")).not_to_have_text(str(first))
    second = dashboard.pid(key)
    os.kill(second, signal.SIGKILL)
    expect(dashboard.cell(key, "restarts")).to_have_text("1")
    expect(dashboard.cell(key, "pid")).not_to_have_text(str(second))
    assert dashboard.pid(key) not in (first, second)
    expect(dashboard.news).to_contain_text("restarted by an operator")
    expect(dashboard.news).to_contain_text("its process ended unexpectedly")
    speak(gateway, "/demo recall", key.removeprefix("websocket:default:"))
    dashboard.row(key).get_by_role("button", name=key, exact=True).click()
    turns = dashboard.detail.locator(".turn")
    expect(turns).to_have_count(2)
    expect(turns.first.locator(".turn-status")).to_have_text("completed")
    turns.first.locator("summary").click()
    expect(turns.first.locator(".steps")).to_contain_text("model call")
    dashboard.detail.get_by_role("button", name="Delete").click()
    dashboard.mean("Delete")
    expect(dashboard.row(key)).to_have_count(0)
    expect(dashboard.detail).to_be_hidden()


def test_a_turn_and_a_question_are_dealt_with(signed_in: ChatPage, gateway: Gateway) -> None:
    page = signed_in.page
    asking, busy = next_session("asking"), next_session("busy")
    chat = signed_in.open(busy)
    chat.say("/demo slow 60")
    chat.state(chat.last, "answering")
    signed_in.open(asking).say('/demo tool shell {"command": "echo dashboard"}')
    expect(signed_in.last.get_by_role("button", name="Approve")).to_be_visible()
    dashboard = DashboardPage(page, gateway.http_url).open()
    key = f"websocket:default:{asking}"
    line = dashboard.worries.filter(has_text=key)
    expect(line).to_contain_text("asks whether shell may run")
    line.get_by_role("button", name="Approve").click()
    dashboard.mean("Approve")
    expect(line).to_have_count(0)
    expect(dashboard.cell(key, "doing")).to_have_text("idle")
    key = f"websocket:default:{busy}"
    expect(dashboard.cell(key, "doing")).to_contain_text("model call")
    page.get_by_label("Find sessions").fill(key)  # other tests' may be busy, too
    page.locator("[data-filter=busy]").click()
    expect(dashboard.rows).to_have_count(1)
    dashboard.row(key).get_by_role("button", name=f"End the turn of {key}").click()
    dashboard.mean("End turn")
    expect(dashboard.rows).to_have_count(0)
    expect(page.locator("#none")).to_have_text("None is called so.")


def test_many_sessions_stay_smooth(staged: DashboardPage) -> None:
    page = staged.page
    staged.push("snapshot", crowd(MANY))
    expect(staged.rows).to_have_count(MANY)
    frames = page.evaluate(
        """async (actors) => {
            const times = [];
            for (let round = 0; round < 20; round += 1) {
                const changed = actors.map((actor) => ({ change: "activity", actor: {
                    ...actor, activity: round % 2 ? "idle" : "busy", doing: round % 2 ? "idle" : "model call" } }));
                window.push("actors", { at: 1, changed, gone: [] });
                await new Promise((resolve) => setTimeout(resolve));
                const began = performance.now();
                await new Promise(requestAnimationFrame);
                await new Promise(requestAnimationFrame);
                times.push(performance.now() - began);
            }
            return times.sort((one, other) => one - other);
        }""",
        [each for each in crowd(MANY)["actors"] if each["kind"] == "session"],
    )
    assert frames[len(frames) // 2] < SLOW_FRAME_MS
    first = staged.rows.first.locator("button").first
    first.focus()
    page.keyboard.press("ArrowDown")
    expect(staged.rows.nth(1).locator("button").first).to_be_focused()
    page.keyboard.press("End")
    expect(staged.rows.last.locator("button").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(staged.detail.get_by_role("heading", level=2)).to_have_text(
        f"websocket:default:room {MANY - 1:04}"
    )
    page.keyboard.press("Escape")
    expect(staged.rows.last.locator("button").first).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("room 0007")
    expect(staged.rows).to_have_count(1)


def stuck() -> dict[str, Any]:
    """Much that is wrong, at once."""
    snapshot = crowd(3)
    snapshot["actors"] += [
        actor("websocket:default:frozen", silent_since=1_790_000_000.0, activity="busy", doing="model call"),
        actor("websocket:default:broken", state="failed", pid=None, restarts=7, reason="its process ended"),
        actor("websocket:default:slow", activity="busy", doing="model call", doing_since=1_790_000_000.0),
        actor("model", "service", state="restarting", pid=None, restarts=2, reason="no answer for 10 s"),
    ]
    snapshot["health"] = {"ready": False, "draining": False, "problems": ["model: restarting"]}
    return snapshot


def test_what_is_stuck_stands_out(staged: DashboardPage) -> None:
    staged.push("snapshot", stuck())
    expect(staged.worries).to_have_count(4)
    for name, why in (
        ("frozen", "has not answered for"),
        ("broken", "failed after 7 restarts"),
        ("slow", "has been busy for"),
        ("model", "is being restarted: no answer for 10 s"),
    ):
        expect(staged.worries.filter(has_text=name).filter(has_text=why)).to_have_count(1)
    expect(staged.page.locator("#health")).to_have_text("not ready: model: restarting")
    expect(staged.page.locator("[data-filter=stuck] .chip-count")).to_have_text("3")
    expect(staged.rows.first).to_have_attribute("data-name", "websocket:default:broken")
    staged.push("dropped", {"reason": "slow", "text": "Too much."})
    expect(staged.page.locator("#connection")).to_have_text(
        "Live"
    )  # it says so, and the stream's end follows


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_dashboard_can_be_used_by_everybody(staged: DashboardPage, theme: str, gateway: Gateway) -> None:
    key = conversation(gateway)
    page = staged.page
    page.emulate_media(color_scheme=theme)
    snapshot = stuck()
    snapshot["actors"].append(actor(key))
    staged.push("snapshot", snapshot)
    staged.push("actors", {"at": 1.0, "changed": [{"change": "died", "actor": actor(key)}], "gone": []})
    expect(page.locator("#log-status")).not_to_have_text("Searching…")
    assert violations(page) == []
    staged.row(key).get_by_role("button", name=key, exact=True).click()
    expect(staged.detail.locator(".turn")).to_have_count(1)
    assert violations(page) == []
    staged.detail.get_by_role("button", name="Delete").click()
    assert violations(page) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_nothing_in_a_name_or_a_line_is_executed(staged: DashboardPage) -> None:
    page = staged.page
    lines = [
        {
            "at": "2026-11-26T06:43:25.325Z",
            "level": "error",
            "process": text,
            "pid": 1,
            "logger": text,
            "text": text,
            "correlation": text,
            "session": text,
            "event": text,
        }
        for text in INJECTIONS
    ]
    answer = json.dumps({"lines": lines, "searched_bytes": 1, "more": False})
    page.route("**/api/logs*", lambda route: route.fulfill(body=answer, content_type="application/json"))
    page.get_by_role("button", name="Everything").click()
    expect(page.locator("#log li")).to_have_count(len(INJECTIONS))
    before = page.evaluate("document.querySelectorAll('script, iframe, style, base, form, math').length")
    snapshot = crowd(0)
    snapshot["actors"] += [
        actor(f"websocket:default:{text}", doing=text, reason=text, silent_since=1.0, state=text)
        for text in INJECTIONS
    ]
    snapshot["health"]["problems"] = list(INJECTIONS)
    staged.push("snapshot", snapshot)
    expect(staged.rows).to_have_count(len(INJECTIONS))
    staged.push(
        "actors",
        {
            "at": 1.0,
            "changed": [{"change": "died", "actor": each} for each in snapshot["actors"]],
            "gone": [],
        },
    )
    staged.rows.first.locator("button").first.click()
    expect(staged.detail).to_be_visible()
    found = page.evaluate(
        """() => ({
            hurt: window.hurt ?? null,
            tags: document.querySelectorAll("script, iframe, style, base, form, math").length,
            images: [...document.querySelectorAll("img")].map((each) => new URL(each.src).pathname),
            handlers: [...document.querySelectorAll("*")].flatMap((each) => [...each.attributes])
                .filter((each) => each.name.startsWith("on") || each.name === "style").length,
        })"""
    )
    assert found == {"hurt": None, "tags": before, "images": ["/static/icon.svg"], "handlers": 0}


def test_dashboard_is_for_the_owner_and_small(page: Page, gateway: Gateway) -> None:
    sizes: dict[str, int] = {}

    def note(response: Any) -> None:
        if response.request.resource_type == "script":
            sizes[response.url] = len(response.body())

    page.on("response", note)
    page.goto(f"{gateway.http_url}/dashboard")
    page.get_by_label("Token of this gateway").fill("wrong")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert").filter(has_text="not right")).to_be_visible()
    page.get_by_label("Token of this gateway").fill(TOKEN)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#connection")).to_have_text("Live")
    assert 0 < sum(sizes.values()) < SCRIPT_BYTES / 2
