"""Decides how an answer in the response to a webhook looks: TwiML, which has Twilio send a message."""

from __future__ import annotations

import re

__all__ = ["CONTENT_TYPE", "reply_with"]

CONTENT_TYPE = "application/xml"
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def reply_with(text: str) -> str:
    """The document that sends a text to who wrote; what XML cannot hold is left out."""
    escaped = _NOT_XML.sub("", text).translate(_ESCAPED)
    return f'<?xml version="1.0" encoding="UTF-8"?><Response><Message>{escaped}</Message></Response>'
