"""What people do on the chat page: talk, watch, stop, decide, wait, and come back."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.chat_page import ChatPage
from tests.browser.relay import Relay
from tests.system.gateway import Gateway


def test_answer_is_streamed_as_markdown_that_can_be_copied(chat: ChatPage) -> None:
    expect(chat.page.get_by_text("What is on your mind?")).to_be_visible()
    chat.say("/demo slow 2")
    answer = chat.answer(chat.last)
    expect(answer).to_contain_text("1 2 3")
    chat.state(chat.last, "answering")
    chat.state(chat.last, "completed")
    expect(answer).to_have_text(" ".join(str(number) for number in range(1, 21)))
    expect(chat.last.locator(".fate")).to_have_text("Answered")

    answer = chat.answer(
        chat.ask("**bold** and\n\n```python\nprint('<b>')\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |")
    )
    expect(answer.locator("strong")).to_have_text("bold")
    expect(answer.locator("td")).to_have_text(["1", "2"])
    expect(answer.locator("pre code")).to_have_text("print('<b>')\n")
    chat.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answer.get_by_role("button", name="Copy code").click()
    expect(answer.get_by_role("button", name="Copied")).to_be_visible()
    assert chat.page.evaluate("navigator.clipboard.readText()") == "print('<b>')\n"


def test_escape_stops_the_answer(chat: ChatPage) -> None:
    chat.say("/demo slow 60")
    expect(chat.answer(chat.last)).to_contain_text("1 2 3")
    chat.page.keyboard.press("Escape")
    chat.state(chat.last, "stopped")
    expect(chat.stop).to_be_hidden()
    expect(chat.last.locator(".fate")).to_contain_text("Stopped")
    expect(chat.last.get_by_role("button", name="Ask again")).to_be_visible()


def test_tool_runs_only_where_it_is_approved(chat: ChatPage) -> None:
    chat.say('/demo tool shell {"command": "echo it; echo ran"}')
    card = chat.last.locator(".tool")
    expect(card.locator(".tool-state")).to_have_text("asks for your approval")
    expect(card).to_contain_text("echo it; echo ran")
    card.get_by_role("button", name="Deny").click()
    chat.state(chat.last, "completed")
    expect(card.locator(".tool-state")).to_have_text("not allowed")
    expect(chat.answer(chat.last)).not_to_contain_text("ran")

    chat.say('/demo tool shell {"command": "echo it; echo ran"}')
    chat.last.get_by_role("button", name="Approve").click()
    chat.state(chat.last, "completed")
    card = chat.last.locator(".tool")
    expect(card.locator(".tool-state")).to_have_text("done")
    expect(chat.answer(chat.last)).to_contain_text("ran")
    expect(card.get_by_text("Result")).to_be_hidden()
    card.locator("summary").click()
    expect(card.locator("pre").last).to_contain_text("it\nran")


def test_queue_is_shown_and_what_is_not_taken_can_be_sent_again(chat: ChatPage) -> None:
    chat.say("/demo slow 60")
    chat.state(chat.last, "answering")
    for text in ("second", "third", "fourth"):
        chat.say(text)
    expect(chat.with_text("second").locator(".fate")).to_have_text("Accepted · 1 ahead of it")
    expect(chat.with_text("third").locator(".fate")).to_have_text("Accepted · 2 ahead of it")
    refused = chat.with_text("fourth")
    expect(refused.locator(".fate")).to_contain_text("Not taken: Server is busy. Please retry.")

    chat.page.get_by_role("button", name="Stop all").click()
    for text in ("slow", "second", "third"):
        chat.state(chat.with_text(text), "stopped")
    refused.get_by_role("button", name="Send again").click()
    chat.state(refused, "completed")
    expect(chat.answer(refused)).to_have_text("echo: fourth")
    expect(chat.exchanges).to_have_count(4)


def test_cut_connection_comes_back_with_nothing_missing_or_twice(page: Page, relay: Relay) -> None:
    chat = ChatPage(page, relay.url)
    chat.sign_in()
    chat.open("cut")
    chat.say("/demo slow 4")
    expect(chat.answer(chat.last)).to_contain_text("1 2 3")
    relay.cut()
    expect(chat.banner).to_contain_text("What you write is sent as soon as it is back")
    chat.say("written while away")
    expect(chat.last.locator(".fate")).to_have_text("Waits for the connection")
    relay.mend()
    page.get_by_role("button", name="Try now").click()
    chat.connected()
    expect(chat.banner).to_be_hidden()
    chat.state(chat.last, "completed")
    expect(chat.exchanges).to_have_count(2)
    expect(chat.answer(chat.exchanges.first)).to_have_text(" ".join(str(number) for number in range(1, 41)))
    expect(chat.answer(chat.last)).to_have_text("echo: written while away")


def test_killed_session_completes_its_answer_once(chat: ChatPage, gateway: Gateway) -> None:
    chat.say("/demo slow 3")
    expect(chat.answer(chat.last)).to_contain_text("1 2 3")
    gateway.kill("websocket:default:test_killed_session_completes_its_answer_once 1")
    expect(chat.last.locator(".foot")).to_contain_text("starts again")
    chat.state(chat.last, "completed")
    expect(chat.answer(chat.last)).to_have_text(" ".join(str(number) for number in range(1, 31)))
    expect(chat.exchanges).to_have_count(1)
    expect(chat.page.locator(".notice")).to_have_text(
        "This conversation was restarted: its process ended unexpectedly."
    )


def test_history_is_there_again_and_earlier_parts_on_demand(chat: ChatPage) -> None:
    said = [
        f'/demo tool memory {{"action": "read", "key": "{number}"}}' for number in range(28)
    ]  # 5 events each
    for text in said:
        chat.ask(text)
    chat.page.reload()
    chat.connected()
    expect(chat.with_text('"27"')).to_have_count(1)
    assert chat.exchanges.count() == 24
    chat.page.get_by_role("button", name="Show earlier messages").click()
    expect(chat.exchanges).to_have_count(28)
    expect(chat.page.get_by_role("button", name="Show earlier messages")).to_be_hidden()
    assert chat.page.locator(".bubble").all_text_contents() == said
    expect(chat.page.locator(".exchange[data-state=completed]")).to_have_count(28)
    expect(chat.page.locator(".tool")).to_have_count(28)


def test_what_a_reload_finds_unsent_is_sent(page: Page, relay: Relay) -> None:
    chat = ChatPage(page, relay.url)
    chat.sign_in()
    chat.open("unsent")
    relay.cut()
    expect(chat.banner).to_be_visible()
    chat.say("not lost")
    relay.mend()
    page.reload()
    chat.connected()
    chat.state(chat.last, "completed")
    expect(chat.answer(chat.exchanges)).to_have_text("echo: not lost")
