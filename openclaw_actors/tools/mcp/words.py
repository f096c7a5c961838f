"""Decides how what an MCP server says becomes text for the model."""

from __future__ import annotations

__all__ = ["clean", "text_of"]

import re
from collections.abc import Iterable
from typing import Any

import msgspec

_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BASE64_CHARS, _BASE64_BYTES = 4, 3
_CUT = "\n[truncated: the result was {chars} characters long]"
_NOTHING = "(The tool answered nothing.)"


def clean(text: str) -> str:
    """The text without control characters and halves of characters, which neither logs nor providers take."""
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)


def text_of(blocks: Iterable[Any], structured: object, *, max_chars: int) -> str:
    """The content of a result, block by block; what is no text is named, with its type and size.

    Args:
        blocks: content blocks of the library.
        structured: what the tool answered as data, or None; told only where there is no block.
        max_chars: a longer text is cut, and says so.
    """
    parts = [_block(block) for block in blocks]
    if not parts and structured is not None:
        parts = [msgspec.json.encode(structured).decode()]
    text = clean("\n".join(parts))
    if len(text) > max_chars:
        return text[:max_chars] + _CUT.format(chars=len(text))
    return text or _NOTHING


def _block(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{block.type}: {block.mime_type}, {_decoded_size(block.data)} bytes, not shown]"
        case "resource_link":
            kind = f", {block.mime_type}" if block.mime_type else ""
            size = f", {block.size} bytes" if block.size is not None else ""
            return f"[resource: {block.name}, {block.uri}{kind}{size}]"
        case "resource":
            return _resource(block.resource)
    return f"[content of the type {str(block.type)[:64]}, not shown]"


def _resource(resource: Any) -> str:
    if hasattr(resource, "text"):
        return f"[resource: {resource.uri}]\n{resource.text}"
    kind = resource.mime_type or "application/octet-stream"
    return f"[resource: {resource.uri}, {kind}, {_decoded_size(resource.blob)} bytes, not shown]"


def _decoded_size(base64: str) -> int:
    return len(base64) * _BASE64_BYTES // _BASE64_CHARS - base64[-2:].count("=")
