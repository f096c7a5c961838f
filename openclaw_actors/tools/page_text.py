"""Turns what a web server sent into text that a model can read."""

from __future__ import annotations

__all__ = ["charset_of", "decode_page", "is_html", "is_text", "text_of_html"]

import codecs
import re

from lxml import etree

from openclaw_actors.tools.threads import StopFlag

_CHECK_EVERY = 4_096
_SNIFF_BYTES = 1_024
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,40}")
_NOT_OF_PAGES = frozenset(("idna", "punycode", "utf-7", "unicode-escape", "raw-unicode-escape", "undefined"))
"""Codecs of Python's that no page is written in; some take time that grows with the square of the length."""
_HIDDEN = frozenset(("script", "style", "template", "noscript", "iframe", "svg", "title", "object"))
_BLOCKS = frozenset(
    (
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "br",
            "center",
            "dd",
            "details",
            "dialog",
            "div",
            "dl",
            "dt",
        ),
        *(
            "fieldset",
            "figcaption",
            "figure",
            "footer",
            "form",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "header",
            "hr",
        ),
        *(
            "li",
            "main",
            "nav",
            "ol",
            "option",
            "p",
            "pre",
            "section",
            "select",
            "summary",
            "table",
            "tbody",
            "td",
        ),
        *("th", "tr", "ul"),
    )
)
_BEFORE = {**dict.fromkeys(_BLOCKS, "\n"), "li": "\n- ", "td": " ", "th": " "}
_AFTER = {**dict.fromkeys(_BLOCKS, "\n"), "td": " ", "th": " ", "br": "", "li": ""}
_SPACE = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[\s]*\n ?")
_EDGES = re.compile(r" ?\n ?")


def is_html(content_type: str) -> bool:
    """Whether a media type is that of a page with tags."""
    return content_type in ("text/html", "application/xhtml+xml")


def is_text(content_type: str, data: bytes) -> bool:
    """Whether what was sent can be shown; a type that says nothing is decided by the content."""
    kind = content_type.partition("/")[0]
    if kind == "text" or content_type.endswith(("+json", "+xml")):
        return True
    if content_type in (
        "application/json",
        "application/xml",
        "application/javascript",
        "application/xhtml+xml",
    ):
        return True
    return kind not in ("image", "audio", "video", "font") and b"\0" not in data and _decodes(data)


def _decodes(data: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)  # the end may be cut
    except UnicodeDecodeError:
        return False
    return True


def charset_of(named: str | None, data: bytes, *, html: bool) -> str:
    """The charset of a page: what its marks say, else the server, else the page itself, else UTF-8."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return name
    found = _CHARSET.search(data[:_SNIFF_BYTES]) if html else None
    for candidate in (named, found[1].decode("ascii") if found else None):
        if candidate and _NAME.fullmatch(candidate):
            try:
                codec = codecs.lookup(candidate)
            except LookupError:
                continue
            if codec.name.replace("_", "-") not in _NOT_OF_PAGES:
                return codec.name
    return "utf-8"


def decode_page(data: bytes, charset: str) -> str:
    """The text of a page, with a mark wherever its bytes are none of its charset."""
    try:
        return data.decode(charset, errors="replace")
    except (LookupError, UnicodeError):
        return data.decode("utf-8", errors="replace")


def text_of_html(page: str, flag: StopFlag) -> tuple[str, str]:
    """Title and text of a page, without tags, scripts and styles, and with its spaces collapsed."""
    # libxml2 takes time in proportion to the length, whatever stands there; Python's own parser does not.
    parser = etree.HTMLParser(
        encoding="utf-8", huge_tree=True, no_network=True, remove_comments=True, remove_pis=True
    )
    root = etree.fromstring(page.replace("\0", "").encode(errors="replace") or b" ", parser)
    if root is None:
        return "", ""
    title: list[str] = []
    pieces: list[str] = []
    hidden = 0
    for number, (event, element) in enumerate(etree.iterwalk(root, events=("start", "end"))):
        if number % _CHECK_EVERY == 0:
            flag.check()
        tag = element.tag
        if event == "start":
            hidden += tag in _HIDDEN
            if tag == "title" and not title:
                title.append(element.text or "")
            if not hidden:
                pieces += (_BEFORE.get(tag, ""), element.text or "")
        else:
            if not hidden:
                pieces.append(_AFTER.get(tag, ""))
            hidden -= tag in _HIDDEN
            if not hidden:
                pieces.append(element.tail or "")
    text = _EDGES.sub("\n", _LINES.sub("\n\n", _SPACE.sub(" ", "".join(pieces))))
    return " ".join("".join(title).split()), text.strip()
