"""Decides how a conversation reads on a screen: which text each effect adds, and where lines begin. Pure."""

from __future__ import annotations

__all__ = ["Transcript"]

from openclaw_actors.cli.effects import (
    AnswerBegan,
    AnswerRestarted,
    AnswerText,
    ApprovalAsked,
    Effect,
    MessageTaken,
    Noticed,
    Refused,
    ToolBegan,
    ToolEnded,
    TurnEnded,
)
from openclaw_actors.cli.plain import clean, shortened
from openclaw_actors.cli.tool_log import SHORT, ToolLog


class Transcript:
    """Turns the effects of one conversation into text that is written one piece after the other."""

    def __init__(self) -> None:
        self._at_line_start = True
        self.tools = ToolLog()
        self.failed = False
        """Whether a message of ours was refused or its turn did not complete."""

    def line(self, text: str) -> str:
        """A line of its own."""
        return self._put(("" if self._at_line_start else "\n") + f"{clean(text)}\n")

    def show(self, effect: Effect) -> str:
        """What to write for an effect; often nothing."""
        match effect:
            case MessageTaken(mine=False):
                return self.line(f"(somebody else) {effect.text}")
            case MessageTaken() if effect.queued:
                return self.line(f"(waits behind {effect.queued})")
            case AnswerBegan():
                return self.line(f"(answers: {shortened(effect.text, SHORT)})")
            case AnswerText():
                return self._put(clean(effect.text))
            case AnswerRestarted():
                return self.line("(the answer was interrupted and starts again)")
            case ToolBegan() | ToolEnded():
                return self._tool(effect)
            case ApprovalAsked():
                asked = f"{effect.name} {shortened(effect.arguments, SHORT)}"
                return self.line(f"May this run? {asked}   (/approve or /deny {effect.approval_id})")
            case TurnEnded():
                return self._turn_ended(effect)
            case Noticed(code="session_restarted"):
                return self.line(f"(the conversation was restarted: {effect.text})")
            case Noticed():
                return self.line(f"({effect.text})")
            case Refused():
                self.failed = self.failed or effect.message_id is not None
                again = "   (/resend sends it again)" if effect.again else ""
                return self.line(f"Error: {effect.text}{again}")
        return ""

    def _tool(self, effect: ToolBegan | ToolEnded) -> str:
        line = self.tools.began(effect) if isinstance(effect, ToolBegan) else self.tools.ended(effect)
        return self.line(line) if line else ""

    def _turn_ended(self, ended: TurnEnded) -> str:
        text = self.line("(the whole answer:)") if ended.replaces else ""
        text += self._put(clean(ended.rest))
        if not self._at_line_start:
            text += self._put("\n")
        if ended.status != "completed":
            self.failed = self.failed or ended.mine
            text += self.line(f"({ended.status}{f': {ended.code}' if ended.code else ''})")
        return text

    def _put(self, text: str) -> str:
        if text:
            self._at_line_start = text.endswith("\n")
        return text
