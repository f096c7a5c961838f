"""Decides how a person converses: what is a command and what a message, and what Ctrl-C means."""

from __future__ import annotations

__all__ = ["Chat", "command", "history_path"]

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openclaw_actors.cli.chat_sessions import OwnSessions
from openclaw_actors.cli.common import Invocation, common_options, pass_invocation, paths_of
from openclaw_actors.cli.plain import is_text, number_in, shortened
from openclaw_actors.core.commands import parse_command
from openclaw_actors.errors import OpenClawError

if TYPE_CHECKING:
    from openclaw_actors.cli.effects import Effect
    from openclaw_actors.config import Loaded

DEFAULT_SESSION = "main"
HISTORY_NAME = "chat_history"

MAX_SESSION_ID = 128
DUMB_TERMINALS = ("", "dumb", "unknown")
"""They cannot move the cursor: a message a line there too."""

HELP = """\
/status        what the conversation does now
/stop [all]    end the running turn; with `all` also what waits behind it
/approve [ID]  let the tool run that asks; /deny refuses
/tool [N]      a tool call whole, with its result; the newest without N
/resend [N]    send again what was not taken: all of it, or the Nth
/sessions [W]  your conversations, or those with W in their name
/switch N      go to one of them; a name goes to any, also to a new one
/help          this
/quit          leave; Ctrl-D does too
The gateway itself heeds /new, /undo, /branch, /model, /queue and /usage, in every channel.
Ctrl-C ends the running turn, or leaves if there is none. Up and Down bring back what was entered before, Ctrl-R
searches it; Tab completes commands and names; Alt-Enter begins a new line. Text that starts with // is sent with
one slash."""

OURS = frozenset(
    (
        "/help",
        "/quit",
        "/exit",
        "/status",
        "/stop",
        "/approve",
        "/deny",
        "/tool",
        "/resend",
        "/sessions",
        "/switch",
        "/session",
    )
)
"""Commands that are heeded here, and never reach the gateway as text."""

SENT_AS_TEXT = ("/demo",)
"""Commands of the demo provider: the model reads them, not we."""

_SHORT = 40


@click.command("chat")
@click.option("--session", default=DEFAULT_SESSION, show_default=True, metavar="ID", help="The conversation.")
@click.option("--plain", is_flag=True, help="Show answers as they come, with their Markdown as text.")
@common_options
@pass_invocation
def command(invocation: Invocation, *, session: str, plain: bool) -> None:
    """Hold a conversation. Without a terminal: a message a line in, the answers out."""
    loaded = invocation.find()
    if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") not in DUMB_TERMINALS:
        from openclaw_actors.cli import chat_screen

        code = asyncio.run(chat_screen.run(loaded, session, plain=plain))
    else:
        from openclaw_actors.cli import chat_lines

        code = asyncio.run(chat_lines.run(loaded, session))
    click.get_current_context().exit(code)


def _is_for_gateway(name: str, text: str) -> bool:
    return name not in OURS and parse_command(text) is not None


class Chat:
    """One person's conversation, whatever shows it.

    Args:
        loaded: the configuration: where the gateway is, and the token.
        session: the id of the conversation to begin with.
        write: is given the text of the conversation, piece by piece, and whether it is an answer's.
        remark: is given a line, or several, that is not part of it.
        answer_begins: is told when what follows belongs to no answer before it.
    """

    def __init__(
        self,
        loaded: Loaded,
        session: str,
        *,
        write: Callable[[str, bool], None],
        remark: Callable[[str], None],
        answer_begins: Callable[[], None] = lambda: None,
    ) -> None:
        self._loaded = loaded
        self._write = write
        self._answer_begins = answer_begins
        self.remark = remark
        self._stop_asked = False
        self._connected = False
        self._told_lost = False
        self.connected = asyncio.Event()
        """Set once the first connection stands."""
        self.changed = asyncio.Event()
        """Set at every effect; whoever waits clears it."""
        self.leaving = False
        self.sessions = OwnSessions(loaded)
        self._asking: asyncio.Task[None] | None = None
        self._switched = asyncio.Event()
        self._begin(session)

    def _begin(self, session: str) -> None:
        from openclaw_actors.cli.conversation import Conversation
        from openclaw_actors.cli.link import Link, token_of, websocket_target
        from openclaw_actors.cli.transcript import Transcript

        config = self._loaded.config
        self.transcript = Transcript()
        self.conversation = Conversation(session=session, follow=True)
        self._connected = self._stop_asked = False
        self._approvals: list[str] = []
        self._link = Link(
            self.conversation,
            lambda: websocket_target(self._loaded),
            token=token_of(config),
            show=self._show,
            changed=self._connection_changed,
        )

    async def run(self) -> None:
        """Stay connected until cancelled. Raises what `Link.run` raises."""
        while True:
            link = asyncio.create_task(self._link.run())
            switched = asyncio.create_task(self._switched.wait())
            try:
                await asyncio.wait({link, switched}, return_when=asyncio.FIRST_COMPLETED)
                if link.done():
                    link.result()
                self._switched.clear()
            finally:
                link.cancel()
                switched.cancel()
                await asyncio.gather(link, switched, return_exceptions=True)

    def _show(self, effect: Effect) -> None:
        from openclaw_actors.cli.effects import (
            AnswerRestarted,
            AnswerText,
            ApprovalAsked,
            Noticed,
            TurnEnded,
        )

        if isinstance(effect, ApprovalAsked):
            self._approvals.append(effect.approval_id)
        elif isinstance(effect, TurnEnded):
            self._stop_asked = False
            self._approvals.clear()
        elif isinstance(effect, Noticed) and effect.code == "nothing_to_stop":
            self._stop_asked = False
        if isinstance(effect, AnswerRestarted) or (isinstance(effect, TurnEnded) and effect.replaces):
            self._answer_begins()
        self._write(self.transcript.show(effect), isinstance(effect, AnswerText | TurnEnded))
        if isinstance(effect, TurnEnded):
            self._answer_begins()
        self.changed.set()

    def _connection_changed(self, connected: bool, reason: str) -> None:  # noqa: FBT001 - the link's callback
        self._connected = connected
        if connected:
            if self._told_lost:
                self.remark("(connected again)" if self.connected.is_set() else "(connected)")
            self._told_lost = False
            self.connected.set()
            return
        self._stop_asked = False
        if not self._told_lost:
            self._told_lost = True
            self.remark(f"({reason}; connecting again)")

    # What the person does

    def entered(self, text: str) -> str:
        """The person has entered something; returns the id of the message that it was, or ""."""
        if not text.strip():
            return ""
        if not is_text(text):
            self.remark("Error: this is not UTF-8 and was not sent")
            self.transcript.failed = True
            return ""
        if text.startswith("//"):
            return self._say(text[1:])
        name, _, rest = text.strip().partition(" ")
        if name in ("/approve", "/deny") and (rest or not self._approvals):
            return self._say(text)  # which of them is meant, or that none waits, the gateway knows
        if not name.startswith("/") or name in SENT_AS_TEXT or _is_for_gateway(name, text):
            return self._say(text)
        self._obey(name, rest.strip())
        return ""

    def _say(self, text: str) -> str:
        if not self._connected:
            self.remark("(not connected; this goes out when the connection stands)")
        return self._link.say(text)

    def _obey(self, name: str, rest: str) -> None:
        match name:
            case "/help":
                self.remark(HELP)
            case "/quit" | "/exit":
                self.leaving = True
            case "/status":
                self.remark(self._status())
            case "/stop":
                self._stop(queue=rest == "all")
            case "/approve" | "/deny":
                self._decide(approved=name == "/approve")
            case "/tool":
                self.remark(self.transcript.tools.show(rest))
            case "/resend":
                self._resend(rest)
            case "/sessions":
                self._ask(self._show_sessions(rest))
            case "/session" | "/switch" if not (rest.isprintable() and 1 <= len(rest) <= MAX_SESSION_ID):
                self.remark(
                    f"{name} needs the name of a conversation: 1 to {MAX_SESSION_ID} printable characters"
                )
            case "/session" | "/switch":
                self._switch(self.sessions.named(rest) if name == "/switch" else rest)
            case _:
                text = f"{name} is no command; /help lists them. To send it as text, write /{name}"
                self.remark(text)

    def _switch(self, session: str) -> None:
        if session == self.conversation.session:
            self.remark(f"(this is conversation {session})")
            return
        self.say_what_is_lost()
        self._begin(session)
        self._switched.set()
        self.remark(f"(conversation {session})")

    def _resend(self, number: str) -> None:
        refused = self.conversation.refused
        chosen = number_in(number)
        if number and (chosen is None or not 1 <= chosen <= len(refused)):
            self.remark(
                f"/resend needs a number of 1 to {len(refused)}: {number!r} is none; /status lists them"
            )
            return
        wanted = [refused[chosen - 1]] if chosen else [each for each in refused if each.again]
        if not wanted:
            self.remark(
                "(every message was taken)" if not refused else "(what was refused would be refused again)"
            )
        elif not self._connected:
            self.remark("(not connected; nothing can be sent now)")
        for message in wanted if self._connected else ():
            self._link.perform(self.conversation.say_again(message))

    async def learn_names(self) -> None:
        """For completion; without an answer there is none, and nothing is said of it."""
        try:
            await self.sessions.refresh()
        except OpenClawError:
            return

    async def _show_sessions(self, word: str) -> None:
        self.remark(await self.sessions.show(word, self.conversation.session))

    def _ask(self, asking: Coroutine[Any, Any, None]) -> None:
        """Ask the gateway something beside the conversation; one question at a time."""
        if self.asks:
            asking.close()
            self.remark("(the gateway has not answered the last question yet)")
            return
        self._asking = asyncio.create_task(self._answered(asking))

    async def _answered(self, asking: Coroutine[Any, Any, None]) -> None:
        try:
            await asking
        except OpenClawError as error:
            self.remark(f"Error: {error}")
        finally:
            self.changed.set()

    @property
    def asks(self) -> bool:
        """Whether the gateway has not answered something that is no message."""
        return self._asking is not None and not self._asking.done()

    def _status(self) -> str:
        conversation = self.conversation
        doing = "an answer is running" if conversation.answering else "nothing is running"
        connection = "connected" if self._connected else "not connected"
        fates = [f"  {shortened(text, _SHORT)}: {fate}" for text, fate in conversation.fates]
        refused = [
            f"  {number}  {shortened(each.text, _SHORT)}: not taken ({each.code})"
            + (f"; /resend {number} sends it again" if each.again else "")
            for number, each in enumerate(conversation.refused, start=1)
        ]
        head = (
            f"conversation {conversation.session}: {connection}, {doing}, "
            f"{conversation.waiting} of your messages without an answer"
        )
        return "\n".join([head, *fates, *refused])

    def _stop(self, *, queue: bool) -> None:
        if not self._connected:
            self.remark("(not connected; the turn cannot be stopped now)")
            return
        self._stop_asked = self.conversation.answering
        self._link.perform(self.conversation.stop(queue=queue))

    def _decide(self, *, approved: bool) -> None:
        self._link.perform(self.conversation.decide(self._approvals.pop(0), approved=approved))

    @property
    def asked(self) -> bool:
        """Whether a tool waits for the person."""
        return bool(self._approvals)

    def say_what_is_lost(self) -> None:
        """Before the conversation is left: say which messages the gateway does not have for sure."""
        if untaken := self.conversation.untaken:
            messages = "1 message has" if untaken == 1 else f"{untaken} messages have"
            self.remark(f"({messages} no receipt from the gateway and may be lost)")

    def interrupted(self) -> bool:
        """Ctrl-C: end the running turn; returns whether the person leaves instead."""
        if self.conversation.answering and not self._stop_asked and self._connected:
            self._stop(queue=False)
            return False
        return True


def history_path(loaded: Loaded) -> Path:
    """Where what was entered is kept."""
    return paths_of(loaded).state / HISTORY_NAME
