"""The tools `write_file` and `edit_file`: a file is replaced as a whole or not at all."""

from __future__ import annotations

__all__ = ["EditFileTool", "WriteFileTool"]

import os
import secrets
import stat
from typing import Annotated

from msgspec import Meta

from openclaw_actors.tools.base import Arguments, Tool, ToolFailed, ToolHost
from openclaw_actors.tools.paths import PathPolicy, Place
from openclaw_actors.tools.threads import StopFlag, in_thread

_MOST_CHARS = 8_000_000
_MOST_BYTES = 16 * 1024 * 1024
"""Of a file that is edited: it is held in memory."""
_BLOCK_BYTES = 1_048_576
_MODE_OF_NEW = 0o666
_PERMISSIONS = 0o777

_Path = Annotated[str, Meta(description="The file; relative to the workspace.")]


class WriteFileArguments(Arguments, frozen=True):
    """What `write_file` is called with."""

    path: _Path
    content: Annotated[str, Meta(max_length=_MOST_CHARS, description="The whole text of the file.")]


class WriteFileTool(Tool[WriteFileArguments]):
    """Whole files."""

    name = "write_file"
    description = "Write a text file, with the directories above it; one that is there is replaced."
    dangerous = True
    arguments = WriteFileArguments

    def __init__(self, host: ToolHost) -> None:
        super().__init__(host)
        self._policy = PathPolicy(host.config)

    async def run(self, arguments: WriteFileArguments) -> str:
        return await in_thread(lambda flag: self._write(arguments, flag))

    def _write(self, arguments: WriteFileArguments, flag: StopFlag) -> str:
        data = _encoded(arguments.content, "content")
        with self._policy.writing(arguments.path) as place:
            _replace(place, arguments.path, data, flag)
        return f"Written {len(arguments.content)} characters to {arguments.path}"


class EditFileArguments(Arguments, frozen=True):
    """What `edit_file` is called with."""

    path: _Path
    old_text: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=_MOST_CHARS,
            description="The text to replace, exactly as it stands there.",
        ),
    ]
    new_text: Annotated[str, Meta(max_length=_MOST_CHARS, description="What comes in its place.")]
    replace_all: Annotated[
        bool, Meta(description="Replace it wherever it stands, not only if it stands once.")
    ] = False


class EditFileTool(Tool[EditFileArguments]):
    """One text in a file by another."""

    name = "edit_file"
    description = (
        "Replace a text in a file. old_text must stand there exactly, spaces and line breaks included, and only "
        "once unless replace_all is set."
    )
    dangerous = True
    arguments = EditFileArguments

    def __init__(self, host: ToolHost) -> None:
        super().__init__(host)
        self._policy = PathPolicy(host.config)

    async def run(self, arguments: EditFileArguments) -> str:
        return await in_thread(lambda flag: self._edit(arguments, flag))

    def _edit(self, arguments: EditFileArguments, flag: StopFlag) -> str:
        path = arguments.path
        if arguments.old_text == arguments.new_text:
            raise ToolFailed("Error: old_text and new_text are the same; nothing would change.")
        old, new = _encoded(arguments.old_text, "old_text"), _encoded(arguments.new_text, "new_text")
        with self._policy.writing(path, changes=True) as place:
            before = _content(place, path, flag)
            if old not in before and b"\r\n" in before:
                # The model sees lines without the end that this file gives them.
                old, new = (each.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for each in (old, new))
            times = before.count(old)
            if times == 0:
                raise ToolFailed(
                    f"Error: old_text is not in {path}. Read the file again: every space and line break counts."
                )
            if times > 1 and not arguments.replace_all:
                raise ToolFailed(
                    f"Error: old_text is {times} times in {path}. Give more of the text around it so that it is there "
                    "once, or set replace_all."
                )
            if len(before) + times * (len(new) - len(old)) > _MOST_BYTES:
                raise ToolFailed(f"Error: {path} would become larger than {_MOST_BYTES} bytes.")
            _replace(place, path, before.replace(old, new), flag)
        return f"Replaced {times} {'occurrence' if times == 1 else 'occurrences'} in {path}"


def _encoded(text: str, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ToolFailed(f"Error: '{name}' is not valid Unicode.") from None


def _content(place: Place, path: str, flag: StopFlag) -> bytes:
    assert place.reader is not None
    data = bytearray()
    try:
        while block := os.read(place.reader, _BLOCK_BYTES):
            flag.check()
            data += block
            if len(data) > _MOST_BYTES:
                raise ToolFailed(f"Error: {path} is larger than {_MOST_BYTES} bytes.")
    except OSError as error:
        raise ToolFailed(f"Error: {path} cannot be read: {error.strerror}.") from None
    if b"\0" in data:
        raise ToolFailed(f"Error: {path} is a binary file, not text.")
    return bytes(data)


def _replace(place: Place, path: str, data: bytes, flag: StopFlag) -> None:
    """Put a new file in the place of the old one, in one step, with its permissions; or leave everything as it is."""
    temporary = f".{secrets.token_hex(8)}.tmp"
    try:
        mode = _MODE_OF_NEW if place.found is None else stat.S_IMODE(place.found.st_mode) & _PERMISSIONS
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(temporary, flags, mode, dir_fd=place.directory)
        try:
            _fill(fd, data, mode if place.found is not None else None, flag)
            flag.check()
            _check_unchanged(place, path)
            os.rename(temporary, place.name, src_dir_fd=place.directory, dst_dir_fd=place.directory)
        except BaseException:
            os.unlink(temporary, dir_fd=place.directory)
            raise
    except OSError as error:
        raise ToolFailed(f"Error: {path} cannot be written: {error.strerror}.") from None


def _fill(fd: int, data: bytes, mode: int | None, flag: StopFlag) -> None:
    try:
        if mode is not None:
            os.fchmod(fd, mode)
        rest = memoryview(data)
        while rest:
            flag.check()
            rest = rest[os.write(fd, rest[:_BLOCK_BYTES]) :]
        os.fsync(fd)  # after a power cut there is the old text or the new one, not an empty file
    finally:
        os.close(fd)


def _check_unchanged(place: Place, path: str) -> None:
    """What is edited must not have changed since it was read."""
    if place.reader is None or place.found is None:
        return
    now, before = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False), place.found
    if (now.st_ino, now.st_mtime_ns, now.st_size) != (before.st_ino, before.st_mtime_ns, before.st_size):
        raise ToolFailed(f"Error: {path} was changed by something else meanwhile; read it again.")
