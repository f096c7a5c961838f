"""Decides how one message is sent and its answer printed."""

from __future__ import annotations

__all__ = ["Answer", "command"]

import asyncio
import json
import signal
import sys
from typing import TYPE_CHECKING

import click

from openclaw_actors.cli.common import Invocation, Seconds, common_options, json_option, pass_invocation
from openclaw_actors.cli.plain import clean, is_text

if TYPE_CHECKING:
    from openclaw_actors.cli.effects import Effect, TurnEnded

DEFAULT_SESSION = "main"
DEFAULT_TIMEOUT_S = 900.0
MAX_TIMEOUT_S = 30 * 86_400.0
MAX_INPUT_BYTES = 16 * 1024 * 1024
"""More than any message that a gateway takes."""

STOP_WITHIN_S = 1.5
"""For so long Ctrl-C waits for the turn to be stopped."""

INTERRUPTED = 130


@click.command("send")
@click.argument("text")
@click.option("--session", default=DEFAULT_SESSION, show_default=True, metavar="ID", help="The conversation.")
@click.option(
    "--timeout",
    type=Seconds(longest=MAX_TIMEOUT_S),
    default=DEFAULT_TIMEOUT_S,
    show_default=True,
    metavar="S",
    help="How long to wait for the end of the answer.",
)
@json_option
@common_options
@pass_invocation
def command(invocation: Invocation, *, text: str, session: str, timeout: float, as_json: bool) -> None:
    """Send TEXT and stream the answer; `-` reads it from standard input. With --json, the events, a line each."""
    text = _from_standard_input() if text == "-" else text
    if not is_text(text):
        raise click.UsageError("the text is not UTF-8.")
    answer = Answer(as_json=as_json)
    code = asyncio.run(_send(invocation, answer, text=text, session=session, timeout_s=timeout))
    click.get_current_context().exit(code)


def _from_standard_input() -> str:
    data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    if len(data) > MAX_INPUT_BYTES:
        raise click.UsageError(f"standard input is longer than {MAX_INPUT_BYTES} bytes.")
    return data.decode(errors="surrogateescape")


class Answer:
    """Prints the effects of one message of ours, and knows when it is answered.

    Args:
        as_json: print every event as a line of JSON instead.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.message_id = ""
        self.code: int | None = None
        """The exit code, once the message is answered or refused."""
        self.ended = asyncio.Event()
        self._as_json = as_json
        self._at_line_start = True
        self._lost_because = ""
        """What was said last of the lost connection; each reason once."""

    def show(self, effect: Effect) -> None:
        """Print what an effect shows."""
        from openclaw_actors.cli.effects import (
            AnswerRestarted,
            AnswerText,
            Noticed,
            Refused,
            Seen,
            ToolBegan,
        )
        from openclaw_actors.cli.effects import (
            TurnEnded as Ended,
        )

        match effect:
            case Seen() if self._as_json:
                click.echo(json.dumps(effect.event, ensure_ascii=False))
            case AnswerText(mine=True):
                self._write(effect.text)
            case AnswerRestarted(mine=True):
                self._line("(starts again)")
            case ToolBegan(mine=True):
                self._remark(f"[{effect.name}]")
            case Noticed():
                self._remark(effect.text)
            case Ended(mine=True):
                self._turn_ended(effect)
            case Refused() if effect.message_id in (None, self.message_id):
                self._remark(f"Error: {effect.text}")
                self._end(1)

    def _turn_ended(self, ended: TurnEnded) -> None:
        if ended.replaces:
            self._line("(the whole answer:)")
        self._write(ended.rest)
        if ended.text or not self._at_line_start:
            self._line("")
        if ended.status != "completed":
            reason = f" ({ended.code})" if ended.code else ""
            self._remark(f"Error: the turn was not completed: {ended.status}{reason}")
        self._end(0 if ended.status == "completed" else 1)

    def _end(self, code: int) -> None:
        self.code = code
        self.ended.set()

    def _write(self, text: str) -> None:
        if text and not self._as_json:
            sys.stdout.write(clean(text) if sys.stdout.isatty() else text)
            sys.stdout.flush()
            self._at_line_start = text.endswith("\n")

    def _line(self, text: str) -> None:
        """Write a line of its own."""
        self._write(("" if self._at_line_start else "\n") + (f"{text}\n" if text else ""))

    def _remark(self, text: str) -> None:
        if not self._as_json:
            if not self._at_line_start and sys.stderr.isatty():
                click.echo(err=True)
            click.echo(clean(text), err=True)

    def connection_changed(self, connected: bool, reason: str) -> None:  # noqa: FBT001 - the link's callback
        """Say that the connection is lost; that it stands again shows by itself."""
        if not connected and self.code is None and reason != self._lost_because:
            self._remark(f"({reason}; connecting again)")
        self._lost_because = reason


async def _send(invocation: Invocation, answer: Answer, *, text: str, session: str, timeout_s: float) -> int:
    from openclaw_actors.cli.conversation import Conversation
    from openclaw_actors.cli.link import Link, token_of, websocket_target
    from openclaw_actors.errors import OpenClawError

    loaded = invocation.find()
    link = Link(
        Conversation(session=session),
        lambda: websocket_target(loaded),
        token=token_of(loaded.config),
        show=answer.show,
        changed=answer.connection_changed,
    )
    answer.message_id = link.say(text)
    interrupted = _on_interrupt()
    running = asyncio.create_task(link.run())
    waiting = {running, asyncio.create_task(answer.ended.wait()), asyncio.create_task(interrupted.wait())}
    try:
        done, _ = await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if running in done:
            running.result()  # raises what ended it
        if interrupted.is_set():
            return await _interrupted(link, answer)
        if answer.code is None:
            raise OpenClawError(
                f"no answer within {timeout_s:.0f} s; the conversation {session} goes on without us"
            )
        return answer.code
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _on_interrupt() -> asyncio.Event:
    """An event that the first Ctrl-C sets; the second one ends the process in the usual way."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        event.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    return event


async def _interrupted(link: object, answer: Answer) -> int:
    """Stop the turn that answers us, if it runs, and leave."""
    from openclaw_actors.cli.link import Link

    assert isinstance(link, Link)
    if link.conversation.answering_mine:
        link.perform(link.conversation.stop())
        try:
            await asyncio.wait_for(answer.ended.wait(), STOP_WITHIN_S)
        except TimeoutError:
            pass  # it goes on, as it would after any disconnect
    return INTERRUPTED
