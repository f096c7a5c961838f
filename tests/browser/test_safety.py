"""What must not happen on the page: foreign code that runs, data that leaves, people who cannot use it, slowness."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chat_page import ChatPage
from tests.system.gateway import Gateway

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
FIRST_PAINT_MS = 500
SCRIPT_BYTES = 200_000
INJECTIONS = (
    "<script>window.hurt = 1</script>",
    "<img src=x onerror='window.hurt = 1'>",
    "<svg onload=window.hurt=1><script>window.hurt=1</script></svg>",
    "<iframe srcdoc='<script>parent.hurt = 1</script>'></iframe>",
    "<a href='javascript:window.hurt=1'>click</a>",
    "[click](javascript:window.hurt=1)",
    "[click](JaVaScRiPt&colon;window.hurt=1)",
    "[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "![x](javascript:window.hurt=1)",
    "![x](http://127.0.0.1:9/leak?what=secret)",
    '![x" onerror="window.hurt=1](http://127.0.0.1:9/y)',
    '[a](<http://x/" onmouseover="window.hurt=1>)',
    '<math><mtext></table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.hurt=1&gt;">',
    "<form id=attributes><input name=nodeName><input autofocus onfocus=window.hurt=1></form>",
    "<style>@import 'http://127.0.0.1:9/style';</style><link rel=stylesheet href=http://127.0.0.1:9/s>",
    "<base href=http://127.0.0.1:9/><meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "```html\n</code></pre><script>window.hurt=1</script>\n```",
    '```x"onclick="window.hurt=1\ncode\n```',
    "| <img src=x onerror=window.hurt=1> |\n|---|\n| <b onclick=window.hurt=1>b</b> |",
    "<div style='position:fixed;inset:0;background:url(http://127.0.0.1:9/bg)' class=dialog id=announcer>over</div>",
    "&lt;script&gt;window.hurt=1&lt;/script&gt;",
)


def unhurt(chat: ChatPage) -> None:
    found = chat.page.evaluate(
        """() => ({
            hurt: window.hurt ?? null,
            tags: [...new Set([...document.querySelectorAll("#entries *")].map((each) => each.localName))],
            handlers: [...document.querySelectorAll("#entries *")].flatMap((each) => [...each.attributes])
                .filter((each) => each.name.startsWith("on") || each.name === "style").map((each) => each.name),
            links: [...document.querySelectorAll("#entries a")].map((each) => each.protocol),
            twice: document.querySelectorAll("#announcer").length,
        })"""
    )
    assert found["hurt"] is None
    bad = {
        "script",
        "img",
        "iframe",
        "style",
        "link",
        "form",
        "input",
        "object",
        "embed",
        "base",
        "meta",
        "math",
    }
    assert not set(found["tags"]) & bad
    assert found["handlers"] == []
    assert set(found["links"]) <= {"http:", "https:", "mailto:"}
    assert found["twice"] == 1


def test_nothing_that_is_written_is_executed(chat: ChatPage) -> None:
    asked: list[str] = []
    chat.page.on("request", lambda request: asked.append(request.url))
    for text in INJECTIONS:
        chat.ask(text)
    for link in chat.page.locator("#entries a").all():
        link.hover()
    for exchange in chat.exchanges.all():
        expect(chat.answer(exchange)).to_contain_text("echo:")
    unhurt(chat)
    assert not [url for url in asked if "127.0.0.1:9/" in url]


def test_nothing_that_a_tool_gives_is_executed(chat: ChatPage) -> None:
    text = "\n".join(INJECTIONS)
    command = f"cat <<'END'\n{text}\nEND"
    chat.say(f"/demo tool shell {json.dumps({'command': command})}")
    chat.last.get_by_role("button", name="Approve").click()
    chat.state(chat.last, "completed")
    chat.last.locator("summary").click()
    expect(chat.last.locator(".tool pre").last).to_contain_text(INJECTIONS[0])
    unhurt(chat)


def test_nothing_in_a_name_is_executed(signed_in: ChatPage) -> None:
    name = "<img src=x onerror='window.hurt=1'> & <b>\"bold\"</b>"
    chat = signed_in.open(name)
    chat.ask("hello")
    expect(chat.page.get_by_role("heading", level=1)).to_have_text(name)
    expect(chat.sessions.locator(".session-title", has_text=name)).to_have_text(name)
    chat.page.get_by_role("button", name="Delete <img").click()
    expect(chat.page.locator(".toast")).to_contain_text(name)
    unhurt(chat)


def violations(page: Page) -> list[str]:
    """What axe-core calls serious or critical."""
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{each['id']}: {[node['target'] for node in each['nodes']][:3]} {each['nodes'][0]['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_page_can_be_used_by_everybody(signed_in: ChatPage, theme: str) -> None:
    page = signed_in.page
    page.emulate_media(color_scheme=theme)
    chat = signed_in.open(f"everybody {theme}")
    expect(page.get_by_text("What is on your mind?")).to_be_visible()
    assert violations(page) == []
    chat.ask(
        "# A title\n\n**bold** `code` [link](https://example.org)\n\n```\ncode\n```\n\n| a |\n|---|\n| 1 |\n\n> quoted"
    )
    chat.say('/demo tool shell {"command": "true"}')
    for text in ("waits", "waits, too", "is not taken"):
        chat.say(text)
    expect(chat.with_text("is not taken").locator(".fate")).to_contain_text("Not taken")
    expect(chat.with_text("/demo tool").get_by_role("button", name="Approve")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Keyboard shortcuts").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Stop all").click()
    chat.state(chat.with_text("/demo tool"), "stopped")


def test_page_is_quick_and_small(signed_in: ChatPage) -> None:
    sizes: dict[str, int] = {}

    def note(response: Any) -> None:
        if response.request.resource_type == "script":
            sizes[response.url] = len(response.body())

    signed_in.page.on("response", note)
    signed_in.open("quick")
    signed_in.page.wait_for_load_state("networkidle")
    assert 8 <= len(sizes) <= 20
    assert sum(sizes.values()) < SCRIPT_BYTES
    paints: list[float] = []
    while not paints or (min(paints) >= FIRST_PAINT_MS and len(paints) < 8):  # others use this machine, too
        signed_in.page.reload()
        signed_in.connected()
        paints.append(
            signed_in.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        )
    assert min(paints) < FIRST_PAINT_MS


def test_policy_lets_nothing_foreign_in(browser: Browser, gateway: Gateway) -> None:
    page = browser.new_page()
    page.goto(gateway.http_url)
    blocked = page.evaluate(
        """async () => {
            const blocked = [];
            document.addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
            const image = new Image();
            image.src = "http://127.0.0.1:9/x.png";
            document.body.append(image);
            const frame = document.createElement("iframe");
            frame.src = "http://127.0.0.1:9/";
            document.body.append(frame);
            await fetch("http://127.0.0.1:9/").catch(() => {});
            try { document.body.insertAdjacentHTML("beforeend", "<b>"); } catch { blocked.push("markup"); }
            const all = (resolve) => (new Set(blocked).size < 5 ? setTimeout(all, 20, resolve) : resolve());
            await Promise.race([new Promise(all), new Promise((resolve) => setTimeout(resolve, 5_000))]);
            return [...new Set(blocked)].sort();
        }"""
    )
    page.close()
    assert {"img-src", "frame-src", "connect-src", "markup"} <= set(blocked)
