"""The text of PDF files, in bounds, whatever is wrong with them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw_actors.tools import pdf_read
from openclaw_actors.tools.base import ToolFailed
from openclaw_actors.tools.launch import ProgramLimits
from openclaw_actors.tools.pdf_read import PdfReadTool, pages_of
from openclaw_actors.tools.programs import Programs
from tests.unit.tools.place import Workplace


def pdf(texts: Sequence[str]) -> bytes:
    """A PDF file with a page for each text."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    pages = []
    for text in texts:
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode() if text else b""
        pages.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Contents %d 0 R >>" % (len(objects) + 2)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    kids = b" ".join(b"%d 0 R" % page for page in pages)
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages))
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(data))
    return data + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + end


def call(place: Workplace, path: str = "f.pdf", *, with_path: str = "/usr/bin:/bin", **arguments: Any) -> str:
    host: Any = place.host()
    environ = {"PATH": with_path}
    limits = ProgramLimits(processes=0)
    host.programs = Programs(limits, workspace=place.make(), scratch=place.directory / "tmp", environ=environ)
    tool = PdfReadTool(host)

    async def scene() -> str:
        try:
            return await tool.run(msgspec.convert({"path": path, **arguments}, tool.arguments))
        finally:
            await host.programs.close()

    return asyncio.run(scene())


def failure(place: Workplace, path: str = "f.pdf", **arguments: Any) -> ToolFailed:
    with pytest.raises(ToolFailed) as caught:
        call(place, path, **arguments)
    return caught.value


@pytest.fixture(autouse=True)
def _without_pdftotext(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "pdftotext" not in request.node.name:
        monkeypatch.setattr(Programs, "find", lambda *_: None)


def test_all_pages_are_read(place: Workplace) -> None:
    (place.make() / "f.pdf").write_bytes(pdf(["Hello", "", "World"]))
    said = "--- page 1 ---\nHello\n--- page 2 ---\n[this page has no text]\n--- page 3 ---\nWorld"
    assert call(place) == said
    assert call(place, pages="3") == "--- page 3 ---\nWorld"
    assert call(place, pages="1,3") == "--- page 1 ---\nHello\n--- page 3 ---\nWorld"
    assert call(place, pages="2-") == said.partition("Hello\n")[2]
    assert call(place, pages="3,7") == "--- page 3 ---\nWorld\n[there is no page 7]"
    assert failure(place, pages="7-9").text == "Error: f.pdf has no page 7."


def test_more_pages_than_allowed_are_told(place: Workplace) -> None:
    (place.make() / "f.pdf").write_bytes(pdf([f"p{number}" for number in range(1, 8)]))
    place.native = {"pdf_read": {"enabled": True, "max_pages": 3}}
    said = call(place)
    assert said.endswith('p3\n[truncated: more pages follow; ask for them by pages="4-"]')
    assert call(place, pages="4-").endswith('p6\n[truncated: more pages follow; ask for them by pages="7-"]')
    assert call(place, pages="7-") == "--- page 7 ---\np7"
    assert call(place, max_pages=1).endswith('p1\n[truncated: more pages follow; ask for them by pages="2-"]')
    assert call(place, max_pages=99) == said
    assert call(place, pages="1-3") == said.partition("\n[truncated")[0]


def test_long_texts_are_cut(place: Workplace) -> None:
    (place.make() / "f.pdf").write_bytes(pdf(["a" * 500, "b" * 5_000, "c"]))
    place.native = {"pdf_read": {"enabled": True, "max_output_chars": 600}}
    said = call(place)
    assert said.endswith("bbb\n[truncated: the answer is cut at 600 characters, in page 2]")
    assert said.count("a") > 500
    assert said.count("b") == 100
    assert "too much text before page 3" in call(place, pages="1,3")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no pdf",
        b"%PDF-1.4\n%%EOF",
        pdf(["x"])[:200],
        pdf(["x"]).replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]"),
        pdf(["x"]).replace(b"/Pages 2 0 R", b"/Pages 9 0 R"),
    ],
)
def test_a_damaged_file_is_told(place: Workplace, data: bytes) -> None:
    (place.make() / "f.pdf").write_bytes(data)
    assert failure(place).text.startswith(
        ("Error: f.pdf cannot be read as a PDF file: ", "Error: f.pdf has no page 1")
    )


def test_a_file_that_takes_too_long_is_given_up(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = place.directory / "slow.py"
    slow.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(pdf_read, "_PROGRAM", slow)
    monkeypatch.setattr(pdf_read, "_SECONDS", 0.3)
    (place.make() / "f.pdf").write_bytes(pdf(["x"]))
    refused = failure(place)
    assert (refused.status, refused.text) == (
        "timeout",
        "Error: f.pdf took longer than 0.3 seconds; ask for fewer pages.",
    )


def test_policy_comes_before_existence(place: Workplace) -> None:
    place.make()
    for path in ("../../outside/secret.txt", "../../outside/nothing.pdf"):
        refused = failure(place, path)
        assert refused.status == "denied"
        assert refused.text.startswith(f"Error: Read access denied for path: {path} (")
    assert failure(place, "nothing.pdf").text == "Error: File not found: nothing.pdf"


def test_pdftotext_is_used_where_it_is_installed(place: Workplace) -> None:
    """By its command line, which this stand-in checks."""
    tool = place.directory / "bin" / "pdftotext"
    tool.parent.mkdir()
    program = Path(pdf_read.__file__).with_name("pdf_pages.py")
    tool.write_text(
        '#!/bin/sh\n[ "$1 $2 $3 $5 $8" = "-enc UTF-8 -f -l -" ] || exit 1\n'
        f'{sys.executable} {program} "$7" "$4" "$6"; code=$?; [ $code = 2 ] && exit 99; touch {tool}-ran; exit $code\n'
    )
    tool.chmod(0o755)
    (place.make() / "f.pdf").write_bytes(pdf(["Hello", "World"]))
    path = f"{tool.parent}:{os.environ['PATH']}"
    assert call(place, with_path=path, pages="2").endswith("--- page 2 ---\nWorld")
    assert Path(f"{tool}-ran").exists()
    with pytest.raises(ToolFailed, match="has no page 3"):
        call(place, with_path=path, pages="3")


@pytest.mark.parametrize(
    ("text", "pages", "more"),
    [
        ("all", [1, 2, 3, 4, 5], True),
        ("", [1, 2, 3, 4, 5], True),
        ("7", [7], False),
        ("3-4", [3, 4], False),
        (" 9 , 2 - 3 ,2", [2, 3, 9], False),
        ("8-", [8, 9, 10, 11, 12], True),
        ("1-999999999", [1, 2, 3, 4, 5], True),
        ("1-5", [1, 2, 3, 4, 5], False),
        ("1-6", [1, 2, 3, 4, 5], True),
    ],
)
def test_which_pages_are_meant(text: str, pages: list[int], more: bool) -> None:
    assert pages_of(text, 5) == (pages, more)


@pytest.mark.parametrize("text", ["x", "0", "3-1", "-3", "1,,2", "1-2-3", "1e9", "9999999999", "1,5000"])
def test_what_means_no_pages_is_refused(text: str) -> None:
    with pytest.raises(ToolFailed, match="'pages' must"):
        pages_of(text, 5)
