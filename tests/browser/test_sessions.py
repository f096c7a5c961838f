"""The side bar, the token, and using the page without a mouse or on a telephone."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.chat_page import TOKEN, ChatPage
from tests.system.gateway import Gateway


def test_sessions_are_found_begun_deleted_and_taken_back(signed_in: ChatPage) -> None:
    chat = signed_in.open("holiday in June")
    chat.ask("about otters")
    chat.page.get_by_role("button", name="New session").click()
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("New conversation")
    chat.ask("a title of its own")
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("a title of its own")
    expect(chat.sessions.get_by_role("button", name="a title of its own").first).to_be_visible()

    chat.page.keyboard.press("Control+k")
    search = chat.page.get_by_role("searchbox", name="Search sessions")
    expect(search).to_be_focused()
    search.fill("june")
    expect(chat.sessions.get_by_role("listitem")).to_have_count(1)
    row = chat.sessions.get_by_role("listitem")
    row.get_by_role("button").first.click()
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("holiday in June")
    expect(chat.answer(chat.exchanges)).to_have_text("echo: about otters")

    chat.page.get_by_role("button", name="Delete holiday in June").click()
    expect(chat.page.get_by_text("“holiday in June” is deleted.")).to_be_visible()
    expect(chat.sessions.get_by_role("button", name="holiday in June", exact=True)).to_have_count(0)
    chat.page.get_by_role("button", name="Undo").click()
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("holiday in June")
    expect(chat.answer(chat.exchanges)).to_have_text("echo: about otters")
    answer = chat.answer(chat.ask("/demo recall"))
    expect(answer).to_have_text("turns=1 first=about otters last=about otters")


def test_branch_is_kept_and_gone_back_to(chat: ChatPage) -> None:
    chat.ask("one")
    chat.page.get_by_role("button", name="Keep a branch of this session").click()
    chat.page.get_by_role("textbox", name="Name").fill("crossing")
    chat.page.get_by_role("button", name="Keep", exact=True).click()
    chat.state(chat.with_text("/branch crossing"), "completed")
    chat.ask("two")
    chat.ask("/branch restore crossing")
    expect(chat.answer(chat.ask("/demo recall"))).to_have_text("turns=1 first=one last=one")


def test_token_is_asked_for_once_and_stands_in_no_address(page: Page, gateway: Gateway) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.goto(f"{gateway.http_url}/")
    dialog = page.get_by_role("dialog", name="Token")
    expect(dialog).to_contain_text("This gateway asks for a token.")
    for wrong, told in (
        ("not-it", "That token is not right."),
        ("ein Schlüssel", "A browser can only send tokens of"),
    ):
        dialog.get_by_label("Token of this gateway").fill(wrong)
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text(told)
    dialog.get_by_label("Token of this gateway").fill(TOKEN)
    page.keyboard.press("Enter")
    chat = ChatPage(page, gateway.http_url)
    chat.connected()
    expect(dialog).to_be_hidden()
    page.reload()
    chat.connected()
    assert any(url.startswith("ws://") for url in asked)
    assert not [url for url in asked if TOKEN in url or "not-it" in url]
    assert page.evaluate("Object.keys(localStorage).length + document.cookie.length") == 0


def test_everything_can_be_done_by_keyboard(signed_in: ChatPage) -> None:
    chat = signed_in.open("keys")
    chat.ask("first line")
    page = chat.page
    page.keyboard.press("ArrowUp")
    expect(chat.input).to_have_value("first line")
    page.keyboard.press("End")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second")
    page.keyboard.press("Enter")
    expect(chat.last.locator(".bubble")).to_have_text("first line\nsecond")
    chat.state(chat.last, "completed")
    page.keyboard.press("Alt+n")
    expect(page.get_by_role("heading", level=1)).to_have_text("New conversation")
    page.keyboard.press("Alt+ArrowDown")
    expect(page.get_by_role("heading", level=1)).to_have_text("keys")
    page.locator("#scroller").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_contain_text("Shift + Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    expect(chat.input).to_be_focused()
    # The last thing that happened stands where a screen reader reads it.
    chat.ask("spoken")
    expect(page.locator("#announcer")).to_have_text("echo: spoken")


def test_sessions_open_over_the_page_on_a_telephone(signed_in: ChatPage) -> None:
    signed_in.page.set_viewport_size({"width": 360, "height": 640})
    chat = signed_in.open("small")
    chat.ask("a-word-that-is-longer-than-any-telephone-is-wide-" * 3 + "\n\n```\n" + "code " * 60 + "\n```")
    assert chat.page.evaluate("document.documentElement.scrollWidth") == 360
    expect(chat.sessions).to_be_hidden()
    chat.page.get_by_role("button", name="Sessions", exact=True).click()
    expect(chat.sessions).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(chat.sessions).to_be_hidden()
    expect(chat.page.get_by_role("button", name="Sessions", exact=True)).to_be_focused()
