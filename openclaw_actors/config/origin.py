"""Owns what a running gateway knows of where its configuration comes from, so that it can be read again."""

from __future__ import annotations

__all__ = ["HeldBack", "Origin", "decode_origin", "encode_origin", "stamps_of"]

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from openclaw_actors.config.model import GatewayConfig


class HeldBack(msgspec.Struct, frozen=True, kw_only=True):
    """What one service runs on that did not come up on what all others run on."""

    config: GatewayConfig
    secrets: dict[str, str]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where the configuration comes from; no values of secrets."""

    file: str | None = None
    """The file that the command line names, absolute; None: it is looked for as at the start."""
    overrides: dict[str, Any] = {}
    """Dotted key -> value, of the command line."""
    vault: str = ""
    """Where the values of secrets are; empty: there are none."""
    hidden: tuple[str, ...] = ()
    """Names of the variables that `start` has taken out of its environment; their values stand in the vault."""
    stamps: dict[str, str] = {}
    """Dotted key of a secret in a file of its own -> what tells that the file is another one now."""
    warning: str = ""
    """What is wrong with the configuration that the gateway should run on; empty: it runs on that."""
    listening: dict[str, str] = {}
    """Name of a channel -> HOST:PORT, where clients know it; it is kept where any free port would do."""
    held_back: dict[str, HeldBack] = {}
    """By service."""


_decoder = msgspec.json.Decoder(Origin)


def encode_origin(origin: Origin) -> bytes:
    """Turn it into JSON, to travel in the supervisor's `Init`."""
    return msgspec.json.encode(origin)


def decode_origin(data: bytes) -> Origin:
    """Turn the JSON of `encode_origin` back; nothing is an origin that says nothing."""
    return _decoder.decode(data) if data else Origin()


def stamps_of(references: Mapping[str, str]) -> dict[str, str]:
    """What tells one content of the files of secrets from the next, without reading them.

    Args:
        references: dotted key -> reference, as `travelling` makes them.
    """
    return {key: _stamp(ref[5:]) for key, ref in references.items() if ref.startswith("file:")}


def _stamp(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"
