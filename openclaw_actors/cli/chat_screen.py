"""Owns the screen of a conversation: a prompt that stays usable while an answer streams in above it."""

from __future__ import annotations

__all__ = ["Screen", "run"]

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from prompt_toolkit import PromptSession
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.utils import get_cwidth

from openclaw_actors.cli.chat import OURS, SENT_AS_TEXT, Chat, history_path
from openclaw_actors.cli.chat_completion import ChatCompleter
from openclaw_actors.cli.chat_history import KeptHistory
from openclaw_actors.cli.markdown import MarkdownLines
from openclaw_actors.cli.plain import clean
from openclaw_actors.core.commands import command_names

if TYPE_CHECKING:
    from openclaw_actors.config import Loaded

PROMPT = "> "
BELOW_PROMPT = "  "
TAB_CELLS = 8
INTERRUPTED = 130
OPEN_LINE_ROWS = 4
"""A line that is not complete yet is part of the prompt; beyond so many rows its beginning is written out."""


class Screen:
    """Complete lines are written above the prompt; the line that is still growing is shown as part of it.

    Args:
        history: what was entered before.
        markdown: styles the lines of answers; None: they are shown as they are.
    """

    def __init__(self, history: History, markdown: MarkdownLines | None) -> None:
        self._markdown = markdown
        self._open_line = ""
        self._open_is_answer = False
        self._done: list[str] = []
        self._write_due = False
        self.keys = KeyBindings()
        self.session: PromptSession[str] = PromptSession(
            message=self._message,
            history=history,
            key_bindings=self.keys,
            erase_when_done=True,
            enable_open_in_editor=False,
            enable_suspend=True,
            prompt_continuation=BELOW_PROMPT,
            output=_output(),
            complete_while_typing=False,
        )

    def _message(self) -> FormattedText:
        above = f"{self._open_line.expandtabs(TAB_CELLS)}\n" if self._open_line else ""
        return FormattedText([("", above), ("bold", PROMPT)])

    def write(self, text: str, answer: bool) -> None:  # noqa: FBT001 - as `Chat` says it
        """Show text after what was shown before.

        Args:
            answer: it is part of an answer; else a line of the conversation that is none.
        """
        if not text:
            return
        *lines, rest = text.split("\n")
        for line in lines:
            self._open_line += line
            self._end_line(answer)
        self._open_line += rest
        if lines or rest == self._open_line:
            self._open_is_answer = answer
        self._break_open_line()
        self._write_soon()
        self.session.app.invalidate()

    def _end_line(self, answer: bool) -> None:  # noqa: FBT001 - of what comes next
        self._done.append(f"{self._styled(self._open_line, self._open_is_answer)}\n")
        self._open_line, self._open_is_answer = "", answer

    def _styled(self, line: str, answer: bool) -> str:  # noqa: FBT001 - of the line
        return self._markdown.styled(line) if self._markdown is not None and answer else line

    def answer_begins(self) -> None:
        """What comes now belongs to no answer before it."""
        if self._markdown is not None:
            self._markdown.begin()

    def remark(self, text: str) -> None:
        """Show lines that are not part of the conversation; a line of it that is still growing stays whole."""
        self._done.append(f"{clean(text)}\n")
        self._write_soon()

    def _break_open_line(self) -> None:
        width = max(20, self.session.app.output.get_size().columns - 1)
        while get_cwidth(self._open_line) > width * OPEN_LINE_ROWS:
            end = _fitting(self._open_line, width)
            row = self._open_line[:end].rstrip(" ")
            self._done.append(f"{self._styled(row, self._open_is_answer)}\n")
            self._open_line = self._open_line[end:]

    def _write_soon(self) -> None:
        """Write the complete lines, all that come in this tick of the loop at once."""
        if self._done and not self._write_due:
            self._write_due = True
            asyncio.get_running_loop().call_soon(self._write_out)

    def _write_out(self) -> None:
        self._write_due = False
        text, self._done = "".join(self._done), []
        app = self.session.app
        if not app.is_running:
            _write(text)
            return
        # Not `run_in_terminal`: it leaves raw mode for a moment, and what is typed in that moment goes astray.
        app.renderer.erase()
        app.output.write_raw(text.replace("\n", "\r\n"))
        app.output.flush()
        app.invalidate()

    def finish(self) -> None:
        """Write what is left, when no prompt is shown any more."""
        if self._open_line:
            self._end_line(answer=False)
        _write("".join(self._done))
        self._done = []


def _output() -> Output:
    output = create_output()
    if isinstance(output, Vt100_Output):
        # Where the cursor is would be answered after we have written above it, and the screen would scroll for nothing.
        output.enable_cpr = False
    return output


def _fitting(text: str, width: int) -> int:
    """How many characters to put on a row of this width: up to its last space, if there is one."""
    cells = 0
    for end, char in enumerate(text):
        cells += get_cwidth(char)
        if cells > width:
            space = text.rfind(" ", 0, end)
            return space + 1 if space > 0 else max(1, end)
    return len(text)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


async def run(loaded: Loaded, session: str, *, plain: bool) -> int:
    """Converse until the person leaves; returns the exit code.

    Args:
        plain: show answers as they come.
    """
    markdown = None if plain else MarkdownLines(coloured=not os.environ.get("NO_COLOR"))
    screen = Screen(KeptHistory(history_path(loaded)), markdown)
    chat = Chat(loaded, session, write=screen.write, remark=screen.remark, answer_begins=screen.answer_begins)
    _bind_keys(screen, chat)
    commands = {*OURS, *SENT_AS_TEXT, *(f"/{name}" for name in command_names())}
    screen.session.completer = ChatCompleter(commands, lambda: chat.sessions.names)
    connection = asyncio.create_task(chat.run())
    connected = asyncio.create_task(chat.connected.wait())
    tasks: list[asyncio.Task[Any]] = [connection, connected]
    try:
        await asyncio.wait({connection, connected}, return_when=asyncio.FIRST_COMPLETED)
        if connection.done():
            connection.result()
        screen.remark(f"conversation {session}; /help shows what can be done here")
        conversing = asyncio.create_task(_converse(screen))
        tasks += [conversing, asyncio.create_task(chat.learn_names())]
        await asyncio.wait({connection, conversing}, return_when=asyncio.FIRST_COMPLETED)
        if connection.done():
            connection.result()
        chat.say_what_is_lost()
        return conversing.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        screen.finish()


def _bind_keys(screen: Screen, chat: Chat) -> None:
    keys = screen.keys

    @keys.add("c-c")
    @keys.add("<sigint>")
    def interrupt(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        elif chat.interrupted():
            event.app.exit(exception=KeyboardInterrupt())

    # The prompt never ends by being answered: between two prompts what is typed would be echoed, and Ctrl-D lost.
    @keys.add("enter", filter=has_focus(DEFAULT_BUFFER))
    def enter(event: KeyPressEvent) -> None:
        text = event.current_buffer.text
        event.current_buffer.reset(append_to_history=bool(text.strip()))
        if text.strip():
            screen.remark(PROMPT + text.replace("\n", f"\n{BELOW_PROMPT}"))
            chat.entered(text)
        if chat.leaving:
            event.app.exit(result="")

    @keys.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    def ended_from_outside() -> None:
        if screen.session.app.is_running:
            screen.session.app.exit(exception=KeyboardInterrupt())

    # Without a handler the terminal would stay in the mode of the prompt.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended_from_outside)


async def _converse(screen: Screen) -> int:
    try:
        await screen.session.prompt_async()
    except EOFError:
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0
