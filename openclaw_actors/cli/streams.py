"""Owns the three standard streams: that they are there, and what becomes of text that cannot be written."""

from __future__ import annotations

__all__ = ["drop_unwritten", "prepare_streams"]

import io
import os
import sys

_MODES = {"stdin": "r", "stdout": "w", "stderr": "w"}


def prepare_streams() -> None:
    """Have all three standard streams, and let no character end a command that only shows it."""
    for number, (name, mode) in enumerate(_MODES.items()):
        if getattr(sys, name) is None:
            _occupy(number)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - it stays until the process ends
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _occupy(number: int) -> None:
    """Open a descriptor that was closed when this process began: what is opened next must not get its number."""
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            os.dup2(null, number)
            os.close(null)


def drop_unwritten() -> None:
    """Write what could not be written to nowhere; Python would complain at exit that it cannot flush it."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(null, stream.fileno())
    os.close(null)
