"""The tools `read_file` and `list_files`."""

from __future__ import annotations

__all__ = ["ListFilesTool", "ReadFileTool"]

import codecs
import fnmatch
import heapq
import os
import stat
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from openclaw_actors.tools.base import Arguments, Effect, Tool, ToolFailed, ToolHost
from openclaw_actors.tools.paths import PathPolicy, shown
from openclaw_actors.tools.threads import StopFlag, in_thread

_MOST_LINES = 5_000
_MOST_BYTES = 262_144
"""Of one answer: a line may be endless."""
_BLOCK_BYTES = 65_536
_LOOK_BYTES = 8_192
"""At the beginning of a file, to tell text from something else."""
_MOST_ENTRIES = 1_000
_MOST_VISITED = 100_000
_MOST_DEPTH = 32


class ReadFileArguments(Arguments, frozen=True):
    """What `read_file` is called with."""

    path: Annotated[str, Meta(description="The file; relative to the workspace.")]
    max_lines: Annotated[int, Meta(description="How many lines at most, 1 to 5000.")] = 200
    first_line: Annotated[int, Meta(description="The number of the line to begin with; the first is 1.")] = 1


class ReadFileTool(Tool[ReadFileArguments]):
    """Text files, as many lines as asked for."""

    name = "read_file"
    description = (
        "Read a text file. Answers up to max_lines lines, from first_line on; where more follow it ends with "
        "[truncated: ...], so ask again with a higher first_line."
    )
    effect = Effect.READS
    arguments = ReadFileArguments

    def __init__(self, host: ToolHost) -> None:
        super().__init__(host)
        self._policy = PathPolicy(host.config)

    async def run(self, arguments: ReadFileArguments) -> str:
        return await in_thread(lambda flag: self._read(arguments, flag))

    def _read(self, arguments: ReadFileArguments, flag: StopFlag) -> str:
        count = min(max(arguments.max_lines, 1), _MOST_LINES)
        first = max(arguments.first_line, 1)
        with self._policy.reading(arguments.path) as fd:
            try:
                return _read_lines(fd, arguments.path, first, count, flag)
            except OSError as error:
                raise ToolFailed(f"Error: {arguments.path} cannot be read: {error.strerror}.") from None


def _read_lines(fd: int, path: str, first: int, count: int, flag: StopFlag) -> str:
    size = os.fstat(fd).st_size
    kept: list[bytes] = []
    room = _MOST_BYTES
    line = 1
    ends_line = True
    for number, block in enumerate(_blocks(fd, flag)):
        if number == 0:
            if b"\0" in block[:_LOOK_BYTES]:
                raise ToolFailed(f"Error: {path} is a binary file of {size} bytes, not text.")
            block = block.removeprefix(codecs.BOM_UTF8)
        ends_line = block.endswith(b"\n")
        begin = 0
        while begin < len(block) and line < first:
            found = block.find(b"\n", begin)
            begin = len(block) if found < 0 else found + 1
            line += found >= 0
        while begin < len(block):
            if line >= first + count:
                return _joined(kept, "\n[truncated: more lines]")
            found = block.find(b"\n", begin)
            end = len(block) if found < 0 else found + 1
            kept.append(block[begin : min(end, begin + room)])
            if end - begin > room:
                text = f"\n[truncated: line {line} goes on; the answer is cut at {_MOST_BYTES} bytes]"
                return _joined(kept, text)
            room -= end - begin
            line += found >= 0
            begin = end
    last = line - 1 if ends_line else line
    if not kept and first > 1:
        raise ToolFailed(f"Error: {path} has {last if size else 0} lines; there is no line {first}.")
    return _joined(kept, "")


def _blocks(fd: int, flag: StopFlag) -> Iterator[bytes]:
    while block := os.read(fd, _BLOCK_BYTES):
        flag.check()
        yield block


def _joined(pieces: list[bytes], note: str) -> str:
    text = b"".join(pieces).decode(errors="replace").replace("\r\n", "\n").removesuffix("\n")
    return text + note


class ListFilesArguments(Arguments, frozen=True):
    """What `list_files` is called with."""

    path: Annotated[str, Meta(description="The directory; relative to the workspace.")] = "."
    pattern: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=1_000,
            description="Which names: * and ? and [...]; with a / in it, the path below the directory.",
        ),
    ] = "*"
    recursive: Annotated[bool, Meta(description="Also what is in directories below.")] = False


class ListFilesTool(Tool[ListFilesArguments]):
    """What is in a directory."""

    name = "list_files"
    description = (
        "List a directory, one entry a line: directories end with /, files show their size and links where they lead. "
        "Long listings end with [truncated: ...]."
    )
    effect = Effect.READS
    arguments = ListFilesArguments

    def __init__(self, host: ToolHost) -> None:
        super().__init__(host)
        self._policy = PathPolicy(host.config)

    async def run(self, arguments: ListFilesArguments) -> str:
        return await in_thread(lambda flag: self._list(arguments, flag))

    def _list(self, arguments: ListFilesArguments, flag: StopFlag) -> str:
        with self._policy.listing(arguments.path) as (fd, mount):
            listing = _Listing(
                arguments.pattern, mount, flag, deep=arguments.recursive or "**" in arguments.pattern
            )
            listing.visit(fd, "", 0)
        return listing.text()


class _Listing:
    """The entries found below one directory."""

    def __init__(self, pattern: str, mount: int, flag: StopFlag, *, deep: bool) -> None:
        self._pattern = pattern.removeprefix("./")
        self._mount = mount
        self._flag = flag
        self._deep = deep
        self._visited = 0
        self._found: list[tuple[str, str]] = []
        self._notes: list[str] = []

    def visit(self, fd: int, below: str, depth: int) -> None:
        """Look at a directory that is open, and at those in it; links are not followed."""
        directories = []
        with os.scandir(fd) as entries:
            for entry in entries:
                self._flag.check()
                self._visited += 1
                if self._visited > _MOST_VISITED:
                    self._note(f"[truncated: only {_MOST_VISITED} entries were looked at]")
                    return
                relative = below + entry.name
                if self._matches(relative):
                    self._found.append((relative, _described(entry, fd)))
                if self._deep and entry.is_dir(follow_symlinks=False):
                    directories.append(entry.name)
        for name in sorted(directories):
            if depth + 1 >= _MOST_DEPTH:
                self._note(f"[truncated: directories over {_MOST_DEPTH} deep are left out]")
                return
            self._visit_below(fd, name, below, depth)

    def _visit_below(self, parent: int, name: str, below: str, depth: int) -> None:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        except OSError as error:
            self._note(f"[{shown(below + name)}/ cannot be listed: {error.strerror}]")
            return
        try:
            if _mount_of(fd) == self._mount:
                self.visit(fd, f"{below}{name}/", depth + 1)
            else:
                self._note(f"[{shown(below + name)}/ is another file system, and is left out]")
        finally:
            os.close(fd)

    def _matches(self, relative: str) -> bool:
        pattern, name = self._pattern, relative.rpartition("/")[2]
        if "/" not in pattern:
            return fnmatch.fnmatchcase(name, pattern)
        # `**/` is any number of directories, none included.
        return fnmatch.fnmatchcase(relative, pattern) or fnmatch.fnmatchcase(
            relative, pattern.replace("**/", "")
        )

    def _note(self, text: str) -> None:
        if len(self._notes) < 20 and text not in self._notes:
            self._notes.append(text)

    def text(self) -> str:
        """What the model is told."""
        shown_first = heapq.nsmallest(_MOST_ENTRIES, self._found)
        lines = [shown(name) + suffix for name, suffix in shown_first]
        left = len(self._found) - len(lines)
        if left:
            lines.append(f"[truncated: {left} more entries; a narrower pattern shows them]")
        if not self._found:
            lines.append("No files match." if self._pattern != "*" else "The directory is empty.")
        return "\n".join([*lines, *self._notes])


def _mount_of(fd: int) -> int:
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("mnt_id"))


def _described(entry: os.DirEntry[str], directory: int) -> str:
    try:
        if entry.is_symlink():
            return f" -> {shown(os.readlink(entry.name, dir_fd=directory))}"
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return ""  # gone meanwhile
    if stat.S_ISDIR(found.st_mode):
        return "/"
    return f" ({found.st_size} bytes)" if stat.S_ISREG(found.st_mode) else " (special)"
