"""What commands that need nothing but the conversation itself answer, and what they change in it."""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_actors.core.admission import SessionLimits
from openclaw_actors.core.approvals import waiting as asked
from openclaw_actors.core.commands import BUSY_MODES, BusyMode, Command, help_text
from openclaw_actors.core.conversation import Conversation
from openclaw_actors.core.drafts import settings_changed
from openclaw_actors.core.records import Record
from openclaw_actors.core.window import turns_in

__all__ = ["Answer", "answer", "busy_mode", "usage_text"]

_MAX_MODEL_CHARS = 200
_BUSY_MODES = {
    "queue": "waits for its turn",
    "collect": "is answered together with all others that wait",
    "interrupt": "ends the running answer and is answered next",
    "steer": "is given to the running answer between two steps, or waits for its turn",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command answers."""

    text: str
    drafts: tuple[Record, ...] = ()
    """Records of what it changes."""


def busy_mode(state: Conversation, limits: SessionLimits) -> BusyMode:
    """What becomes of a message that comes while a turn runs: a person's wish, the channel's rule, the default."""
    wish = state.settings.get("queue")
    for mode in BUSY_MODES:
        if mode == wish:
            return mode
    return limits.busy_modes.get(state.key.partition(":")[0], limits.busy_mode)


def answer(command: Command, state: Conversation, limits: SessionLimits, *, turn_runs: bool) -> Answer | None:
    """The answer; None for a command that needs more than the conversation."""
    match command.name:
        case "help":
            return Answer(help_text())
        case "status":
            return Answer(_status(state, limits, turn_runs=turn_runs))
        case "model":
            return _model(command.argument, state, limits)
        case "queue":
            return _queue(command.argument, state, limits)
        case _:
            return None


def usage_text(state: Conversation, limits: SessionLimits, today: int) -> str:
    """What a conversation has used, and what may be used.

    Args:
        today: tokens that its principal has used today, in all conversations.
    """
    usage = state.usage
    daily = f" of {limits.tokens_per_day:,}" if limits.tokens_per_day else ""
    turn = f"\nOne turn may use {limits.turn_token_budget:,}." if limits.turn_token_budget else ""
    budget = f" of {limits.token_budget:,}" if limits.token_budget else ""
    return (
        f"This conversation has used {usage.total:,}{budget} tokens in {state.turns:,} turns "
        f"({usage.input_tokens:,} in, {usage.output_tokens:,} out).\n"
        f"Today you have used {today:,}{daily} in all conversations.{turn}"
    )


def _status(state: Conversation, limits: SessionLimits, *, turn_runs: bool) -> str:
    waiting = max(0, len(state.open) - turn_runs)
    older = state.window[0].stands_for if state.window else 0
    return "\n".join(
        (
            f"{'An answer is being given' if turn_runs else 'Nothing is being answered'}; "
            f"{waiting} {'message waits' if waiting == 1 else 'messages wait'}.",
            *(
                f"{approval.name} asks for your approval: /approve {approval_id} or /deny {approval_id}"
                for approval_id, approval in asked(state).items()
            ),
            f"history: {turns_in(state.window)} of the last {limits.window_turns} turns are shown to the model"
            + (f", and a summary of {older} before them" if older else ""),
            f"model: {_model_of(state, limits)}",
            f"queue: {busy_mode(state, limits)}",
            f"tokens: {state.usage.total:,}",
        )
    )


def _model_of(state: Conversation, limits: SessionLimits) -> str:
    configured = f"as configured ({limits.model})" if limits.model else "as configured"
    return state.settings.get("model", configured)


def _model(wanted: str, state: Conversation, limits: SessionLimits) -> Answer:
    allowed = ", ".join((*limits.models, "default"))
    if not wanted:
        choices = f"; allowed are {allowed}" if limits.models else ""
        return Answer(f"model: {_model_of(state, limits)}{choices}")
    if wanted == "default":
        return Answer("The configured model answers from now on.", (settings_changed(model=None),))
    if len(wanted) > _MAX_MODEL_CHARS or not wanted.isprintable() or " " in wanted:
        return Answer(
            f"A model's name is one word of at most {_MAX_MODEL_CHARS} printable characters. Nothing was changed."
        )
    if limits.models and wanted not in limits.models:
        return Answer(f"model: {wanted!r} is none of {allowed}. Nothing was changed.")
    text = f"{wanted} answers from now on."
    if not limits.models:
        text = (
            f"{wanted} is tried from now on; whether the provider has it shows with the next answer. "
            "/model default goes back."
        )
    return Answer(text, (settings_changed(model=wanted),))


def _queue(wanted: str, state: Conversation, limits: SessionLimits) -> Answer:
    if not wanted:
        mode = busy_mode(state, limits)
        return Answer(
            f"queue: {mode}; a message that comes while an answer is being given {_BUSY_MODES[mode]}"
        )
    if wanted == "default":
        return Answer("Messages are queued as configured from now on.", (settings_changed(queue=None),))
    if wanted not in _BUSY_MODES:
        allowed = ", ".join((*BUSY_MODES, "default"))
        return Answer(f"queue: {wanted!r} is none of {allowed}. Nothing was changed.")
    return Answer(
        f"From now on a message that comes while an answer is being given {_BUSY_MODES[wanted]}.",
        (settings_changed(queue=wanted),),
    )
