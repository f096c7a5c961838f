"""The tool `pdf_read`."""

from __future__ import annotations

__all__ = ["PdfReadTool", "pages_of"]

import os
import re
import sys
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from openclaw_actors.tools.base import Arguments, Effect, Tool, ToolFailed, ToolHost
from openclaw_actors.tools.paths import PathPolicy
from openclaw_actors.tools.programs import Ended
from openclaw_actors.tools.reports import time_allowed
from openclaw_actors.tools.threads import StopFlag, in_thread

_PROGRAM = Path(__file__).with_name("pdf_pages.py")
_SECONDS = 60.0
_MOST_SPAN = 1_000
"""Pages between the first and the last one that are asked for at once: all of them are read."""
_BYTES_PER_CHAR = 4
_NO_SUCH_PAGE = (2, 99)
"""Exit codes of our own program, and of pdftotext."""
_PART = re.compile(r"\s*([0-9]{1,9})\s*(?:(-)\s*([0-9]{1,9})?)?\s*")


class PdfReadArguments(Arguments, frozen=True):
    """What `pdf_read` is called with."""

    path: Annotated[str, Meta(description="The PDF file; relative to the workspace.")]
    pages: Annotated[
        str, Meta(max_length=200, description="Which pages: all, or numbers and ranges such as 1-3,7 or 5-.")
    ] = "all"
    max_pages: Annotated[int, Meta(description="How many pages at most; 0: as configured.")] = 0


class PdfReadTool(Tool[PdfReadArguments]):
    """The text of PDF files, by pdftotext where that is installed, else by pypdf, in a process of its own."""

    name = "pdf_read"
    description = (
        "Read the text of a PDF file, page by page. Where more pages follow it says how to ask for them. Pages that "
        "are pictures have no text."
    )
    effect = Effect.READS
    arguments = PdfReadArguments

    def __init__(self, host: ToolHost) -> None:
        super().__init__(host)
        self._policy = PathPolicy(host.config)

    @property
    def timeout_s(self) -> float:
        return 0.0  # the program has its own

    async def run(self, arguments: PdfReadArguments) -> str:
        settings = self.host.config.plugins.native.pdf_read
        most = min(arguments.max_pages, settings.max_pages) if arguments.max_pages > 0 else settings.max_pages
        wanted, more = pages_of(arguments.pages, most)
        fd = await in_thread(lambda flag: self._open(arguments.path, flag))
        try:
            texts, cut = await self._texts(fd, arguments.path, wanted[0], wanted[-1] + more)
        finally:
            os.close(fd)
        return self._told(arguments.path, wanted, texts, cut=cut, more=more)

    def _open(self, path: str, flag: StopFlag) -> int:
        """A descriptor of the file, for the caller to close."""
        with self._policy.reading(path) as fd:
            flag.check()
            return os.dup(fd)

    async def _texts(self, fd: int, path: str, first: int, last: int) -> tuple[dict[int, str], bool]:
        """Page number to text, of those that exist; and whether there was more than is kept."""
        programs = self.host.programs
        # The very file that was checked, whatever stands at its path by now.
        file = f"/proc/{os.getpid()}/fd/{fd}"
        pdftotext = programs.find("pdftotext")
        if pdftotext is not None:
            command = [pdftotext, "-enc", "UTF-8", "-f", str(first), "-l", str(last), file, "-"]
        else:
            command = [sys.executable, "-I", str(_PROGRAM), file, str(first), str(last)]
        limit_s = time_allowed(_SECONDS, self.host.config, most_s=_SECONDS)
        room = self.host.config.plugins.native.pdf_read.max_output_chars * _BYTES_PER_CHAR
        ended = await programs.run(command, timeout_s=limit_s, output_bytes=2 * room)
        _check(ended, path, first, limit_s)
        cut = ended.stdout.left_out > 0
        # The first half of what was kept is without a gap.
        data = ended.stdout.raw()[:room] if cut else ended.stdout.raw()
        text = data.decode(errors="replace")
        pages = text.split("\f")
        if not pages[-1].strip():
            pages.pop()
        return dict(enumerate(pages, first)), cut

    def _told(self, path: str, wanted: list[int], texts: dict[int, str], *, cut: bool, more: bool) -> str:
        most = self.host.config.plugins.native.pdf_read.max_output_chars
        lines: list[str] = []
        room = most
        for number in wanted:
            if number not in texts:
                if cut:
                    lines.append(
                        f"[truncated: there is too much text before page {number}; ask for it alone]"
                    )
                elif not more and lines:
                    lines.append(f"[there is no page {number}]")
                break
            text = texts[number].strip() or "[this page has no text]"
            lines.append(f"--- page {number} ---\n{text[:room]}")
            room -= len(text)
            if room < 0:
                lines.append(f"[truncated: the answer is cut at {most} characters, in page {number}]")
                return "\n".join(lines)
        if not lines:
            raise ToolFailed(f"Error: {path} has no page {wanted[0]}.")
        if wanted[-1] + 1 in texts:
            lines.append(f'[truncated: more pages follow; ask for them by pages="{wanted[-1] + 1}-"]')
        return "\n".join(lines)


def _check(ended: Ended, path: str, first: int, limit_s: float) -> None:
    """Raises ToolFailed if the program did not do what it should."""
    match ended.cause:
        case "timeout":
            raise ToolFailed(
                f"Error: {path} took longer than {limit_s:g} seconds; ask for fewer pages.", status="timeout"
            )
        case "memory" | "processes":
            raise ToolFailed(f"Error: {path} takes more memory to read than tools may use.")
    if ended.code in _NO_SUCH_PAGE:
        raise ToolFailed(f"Error: {path} has no page {first}.")
    if ended.code:
        lines = ended.stderr.text().strip().splitlines()
        why = lines[-1][:200] if lines else f"exit code {ended.code}"
        raise ToolFailed(f"Error: {path} cannot be read as a PDF file: {why}.")


def pages_of(text: str, most: int) -> tuple[list[int], bool]:
    """Which pages are meant, in their order, as many as allowed; and whether they go on without end.

    Raises:
        ToolFailed: it means no pages.
    """
    if text.strip().lower() in ("", "all"):
        text = "1-"
    found: set[int] = set()
    endless = False
    for part in text.split(","):
        match = _PART.fullmatch(part)
        first = int(match[1]) if match else 0
        last = first + most if match and match[2] and not match[3] else int(match[3] or first) if match else 0
        if not match or first < 1 or last < first:
            raise ToolFailed(
                f"Error: 'pages' must be all, or numbers and ranges such as 1-3,7 or 5- (got {part!r})."
            )
        # No more than may be shown: the range may be huge.
        found.update(range(first, min(last, first + most) + 1))
        endless = endless or last - first >= most
    pages = sorted(found)
    if pages[min(len(pages), most) - 1] - pages[0] >= _MOST_SPAN:
        raise ToolFailed(
            f"Error: 'pages' must not be more than {_MOST_SPAN} pages apart; ask for them one by one."
        )
    return pages[:most], endless or len(pages) > most
