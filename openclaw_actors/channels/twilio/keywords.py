"""Decides whether a message is one of the words by which people say whether they may be texted.

The words are those that Twilio handles by itself on every number, and only as the whole message, in any case: it stops
to deliver to who sent one of the first group, whatever they meant by it, and starts again after one of the second.
So CANCEL and END are not for the agent, though they may have been meant as an answer; nothing could be said to them.

YES is for the agent, except from somebody who may not be texted: only then is there anything to start again.

A messaging service with Advanced Opt-Out may know other words. It says what it took a message for, in `OptOutType`, and
answers by itself.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["Keyword", "keyword_in", "starts_again"]

_STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
_START = frozenset({"START", "UNSTOP"})
_START_AGAIN = frozenset({"YES"})
_HELP = frozenset({"HELP", "INFO"})


class Keyword(Enum):
    """What a message says instead of something for the agent."""

    STOP = "stop"
    START = "start"
    HELP = "help"


def keyword_in(text: str, opt_out_type: str = "") -> Keyword | None:
    """What the message says; None: something for the agent, or what `starts_again` knows.

    Args:
        opt_out_type: the field `OptOutType`, where Twilio took the message for a keyword.
    """
    match opt_out_type.strip().upper():
        case "STOP":
            return Keyword.STOP
        case "START":
            return Keyword.START
        case "HELP":
            return Keyword.HELP
    word = text.strip().upper()
    if word in _STOP:
        return Keyword.STOP
    if word in _START:
        return Keyword.START
    return Keyword.HELP if word in _HELP else None


def starts_again(text: str) -> bool:
    """Whether the message, from somebody who may not be texted, says that they may be."""
    return text.strip().upper() in _START_AGAIN
