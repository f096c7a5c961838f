"""Owns the log: its lines, what is kept out of them, and where they go.

One line an event. Each process writes its own lines, each with a single write to a descriptor opened for appending,
so no process serves another's log and none can block it. Nothing here ever raises into the code that logs.
"""

from __future__ import annotations

__all__ = [
    "HumanFormatter",
    "JsonFormatter",
    "SharedFile",
    "SharedHandler",
    "StormGuard",
    "bind",
    "correlation_id",
    "install",
    "new_correlation_id",
    "rebind",
    "redact",
    "register_secrets",
    "rotate_if_needed",
    "serve_session",
    "session_key",
    "use",
]

import contextlib
import json
import logging
import os
import re
import secrets
import select
import threading
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from openclaw_actors.logs.file import SharedFile, rotate_if_needed

# Kept from before anything could replace them: Thespian exchanges the logging module's root in each actor.
_ROOT = logging.root
_MANAGER = logging.Logger.manager

_MAX_LINE_BYTES = 16_384
_MAX_STDERR_BYTES = 4_096
"""PIPE_BUF: what poll calls writable takes so many bytes without blocking."""

# These log frames, headers or whole requests at debug level, and those hold what people wrote.
_NOISY_LIBRARIES = ("aiohttp", "asyncio", "websockets", "urllib3", "charset_normalizer", "markdown_it")
# A logger of ours that is handed to `websockets`, which writes every frame to it.
_NOISY = (*_NOISY_LIBRARIES, "openclaw_actors.actors.websocket_protocol")

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
"""The id that all lines of one turn share, from the frame to the provider's call."""
session_key: ContextVar[str] = ContextVar("session_key", default="")
"""The session that the running code works for."""


def new_correlation_id() -> str:
    """Make a correlation id: 16 hexadecimal digits."""
    return secrets.token_hex(8)


class bind:  # noqa: N801 - used as a function; a generator would cost several times as much, twice a turn
    """Set what the lines of a piece of work are marked with; None leaves it as it is. A context manager."""

    __slots__ = ("_correlation", "_reset", "_session")

    def __init__(self, *, correlation: str | None = None, session: str | None = None) -> None:
        self._correlation = correlation
        self._session = session

    def __enter__(self) -> None:
        correlation, session = self._correlation, self._session
        self._reset = (
            None if correlation is None else correlation_id.set(correlation),
            None if session is None else session_key.set(session),
        )

    def __exit__(self, *error: object) -> None:
        correlation, session = self._reset
        if session is not None:
            session_key.reset(session)
        if correlation is not None:
            correlation_id.reset(correlation)


# Redaction

_MASK = "***"
_MIN_SECRET_CHARS = 4  # shorter ones would mangle ordinary words
_PATTERNS = (
    (re.compile(r"(?i)\b(bearer|basic)(\s+|%20)[^\s,;'\"<>)\]}]{4,}"), rf"\1 {_MASK}"),
    (re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|xox[a-z]|gh[a-z]|glpat)[-_][A-Za-z0-9_-]{8,}"), _MASK),
    (re.compile(r"\b(?:AIza[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+)"), _MASK),
    (
        re.compile(r"(?i)([?&](?:token|key|api_key|access_token|sig|code|password)=)[^&\s\"'#]+"),
        rf"\1{_MASK}",
    ),
    # As JSON and as Python write it: "api_key": "…", 'x-api-key': '…'.
    (
        re.compile(
            r"""(?i)((["'])(?:[a-z0-9]+[_-])*(?:api[_-]?key|token|password|secret|authorization)\2\s*[:=]\s*)"""
            r"""(["'])(?:\\.|(?!\3).)*(?:\3|$)"""
        ),
        rf"\1\3{_MASK}\3",
    ),
    (re.compile(r"\bopenclaw\.token\.[^\s,\"']+"), f"openclaw.token.{_MASK}"),
    (
        re.compile(
            r"(?i)\b((?:[a-z0-9]+[_-])*(?:api[_-]?key|auth[_-]?token|password|secret)\s*[=:]\s*)[^\s,;}\])]+"
        ),
        rf"\1{_MASK}",
    ),
    (re.compile(r"\braw:[^\s,;}\])\"']+"), f"raw:{_MASK}"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s:@]+:[^/\s@]+@"), rf"\1{_MASK}@"),
)
_registered: tuple[str, ...] = ()


def register_secrets(values: Iterable[str]) -> None:
    """Keep these values out of every line from now on, in this process and those it forks."""
    global _registered
    known = {*_registered, *(value for value in values if len(value) >= _MIN_SECRET_CHARS)}
    # The longest first: where one is the beginning of another, nothing of the longer one may be left over.
    _registered = tuple(sorted(known, key=len, reverse=True))


def redact(text: str) -> str:
    """Take registered secrets, and what looks like one, out of a text."""
    for value in _registered:
        text = text.replace(value, _MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


# Lines


def _timestamp(record: logging.LogRecord) -> str:
    base = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{base}.{int(record.msecs):03d}Z"


def _text(record: logging.LogRecord) -> str:
    """The message and its traceback, redacted; a format that does not fit its arguments is no reason to raise."""
    try:
        text = record.getMessage()
    except Exception as error:  # whatever a __str__ may raise
        text = f"{record.msg!s} [not formatted: {type(error).__name__}]"
    if record.exc_info and record.exc_info[0] is not None:
        text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
    return redact(text)


_served_session = ""


def serve_session(key: str) -> None:
    """Mark every line of this process with a session, unless the code that logs works for another one."""
    global _served_session
    _served_session = key


def _session() -> str:
    return session_key.get() or _served_session


def _correlation(record: logging.LogRecord) -> str:
    """What the running code is marked with, or else the line: a crash is told of outside the work that crashed."""
    return correlation_id.get() or str(getattr(record, "correlation_id", None) or "")


class HumanFormatter(logging.Formatter):
    """`ts LEVEL process[pid] logger correlation session event text`, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Make the line, without its line break."""
        marks = (
            ("corr", _correlation(record)),
            ("session", redact(_session())),
            ("event", getattr(record, "event", "")),
        )
        head = f"{_timestamp(record)} {record.levelname:<7} {_process}[{os.getpid()}] {record.name}"
        fields = "".join(f" {name}={_one_word(value)}" for name, value in marks if value)
        return f"{head}{fields} {_one_line(_text(record))}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Make the line, without its line break."""
        fields = {
            "ts": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": _process,
            "pid": os.getpid(),
            "correlation": _correlation(record) or None,
            "session": redact(_session()) or None,
            "event": getattr(record, "event", None),
            "text": _text(record),
        }
        present = {name: value for name, value in fields.items() if value is not None}
        line = _json_line(present)
        if len(line.encode(errors="replace")) < _MAX_LINE_BYTES:
            return line
        # Cut the text, not the line: what stands there must stay JSON. A character may need six bytes.
        present = {name: value if name == "pid" else str(value)[:256] for name, value in present.items()}
        present["text"] = _shortened(_text(record), 2_000)
        return _json_line(present)


_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029]")


def _json_line(fields: dict[str, Any]) -> str:
    """Write JSON in which nothing ends a line or steers a terminal; json.dumps escapes only what is below a space."""
    line = json.dumps(fields, ensure_ascii=False, default=str)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _one_line(text: str) -> str:
    """Keep an event on its line: line breaks become ` | `, other control characters are escaped."""
    joined = " | ".join(line.strip() for line in text.splitlines() if line.strip())
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in joined)


def _one_word(value: object) -> str:
    word = _one_line(str(value))
    return json.dumps(word) if " " in word else word


def _shortened(text: str, limit: int) -> str:
    """Keep the beginning and the end, where a traceback says what happened."""
    return text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-limit // 2 :]}"


def _as_bytes(line: str, limit: int) -> bytes:
    data = line.encode(errors="backslashreplace")
    if len(data) < limit:
        return data + b"\n"
    whole = data[: limit - 5].decode(errors="ignore")  # a character that the cut would halve is left out
    return whole.encode() + b" ...\n"


# The storm guard


class StormGuard:
    """Decides whether a line that repeats itself is still worth writing. Bounded, and without a clock of its own.

    Args:
        allowed: how often one text may stand in a window.
        window_s: the window, in seconds.
        max_texts: how many texts are watched at once; the oldest is forgotten.
    """

    def __init__(self, *, allowed: int = 5, window_s: float = 10.0, max_texts: int = 256) -> None:
        self._allowed = allowed
        self._window_s = window_s
        self._max_texts = max_texts
        self._seen: dict[object, tuple[float, int]] = {}

    def admit(self, text: object, now: float) -> tuple[bool, int]:
        """Judge one line.

        Returns:
            Whether to write it, and how many like it were left out in the window that ended before it.
        """
        began, count = self._seen.pop(text, (now, 0))
        left_out = 0
        if now - began >= self._window_s:
            left_out = max(0, count - self._allowed)
            began, count = now, 0
        self._seen[text] = (began, count + 1)
        if len(self._seen) > self._max_texts:
            del self._seen[next(iter(self._seen))]
        return count < self._allowed, left_out


class SharedHandler(logging.Handler):
    """Writes records to the shared file, and those of some level to standard error for who started the gateway."""

    def __init__(self, file: SharedFile | None, *, stderr_level: int) -> None:
        super().__init__()
        self.file = file
        self.muted_below = logging.NOTSET
        self._stderr_level = stderr_level
        self._stderr_formatter = HumanFormatter()
        self._guard = StormGuard()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; whatever goes wrong, the code that logs goes on."""
        if record.levelno < self.muted_below:
            return
        try:
            text = (record.name, record.levelno, _session(), _text(record))
            admitted, left_out = self._guard.admit(text, time.monotonic())
            if left_out:
                self._write_note(record, left_out)
            if admitted:
                self._write(record)
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Count what could not be logged; the inherited way would print it to a stream nobody may read."""
        if self.file is not None:
            self.file.lost_lines += 1

    def _write_note(self, record: logging.LogRecord, left_out: int) -> None:
        text = f"the next line was left out {left_out} times"
        self._write(logging.LogRecord(record.name, record.levelno, "", 0, text, (), None))

    def _write(self, record: logging.LogRecord) -> None:
        if self.file is not None:
            self.file.write(_as_bytes(self.format(record), _MAX_LINE_BYTES))
        if record.levelno >= self._stderr_level:
            _write_stderr(_as_bytes(self._stderr_formatter.format(record), _MAX_STDERR_BYTES))


def _write_stderr(data: bytes) -> None:
    """Write to standard error unless that would block: a pipe that nobody reads must not stop an actor."""
    try:
        poll = select.poll()
        poll.register(2, select.POLLOUT)
        if any(events & select.POLLOUT for _, events in poll.poll(0)):
            os.write(2, data)
    except OSError:
        pass  # standard error is closed; the file has the line


_install_lock = threading.Lock()


def install(
    path: Path | None,
    *,
    process: str,
    level: str = "warning",
    form: str = "human",
    stderr_level: str = "warning",
) -> None:
    """Make this process log here. Call it in every process, after a fork too; a second call replaces the first.

    It also puts logging's own root and manager back, so that loggers obtained at import time work in actors.

    Args:
        path: the shared file; None = standard error only.
        process: what this process is called in its lines: `supervisor`, `session`, …
        level: the least level of the file: debug, info, warning, error.
        form: `human` or `json`, of the file.
        stderr_level: the least level of the lines that also go to standard error; `off` = none.
    """
    global _process, _handler
    _process = process
    _installed.update(path=path, level=level, form=form, stderr_level=stderr_level)
    levels = logging.getLevelNamesMapping()
    least_stderr = levels.get(stderr_level.upper(), logging.CRITICAL + 1)
    with _install_lock:
        logging.root = _ROOT
        logging.Logger.root = _ROOT
        logging.Logger.manager = _MANAGER
        file = None if path is None else _shared_file(path)
        handler = SharedHandler(file, stderr_level=least_stderr)
        _handler = handler
        handler.setFormatter(JsonFormatter() if form == "json" else HumanFormatter())
        for old in list(_ROOT.handlers):
            _ROOT.removeHandler(old)
        _ROOT.addHandler(handler)
        _set_level(_ROOT, levels[level.upper()])
        for name in _NOISY:
            _set_level(logging.getLogger(name), max(levels[level.upper()], logging.WARNING))
        logging.raiseExceptions = False


def _set_level(logger: logging.Logger, level: int) -> None:
    """Setting a level looks at every logger there is, and a forked process copies the page of each."""
    if logger.level != level:
        logger.setLevel(level)


_installed: dict[str, Any] = {}
_handler: SharedHandler | None = None
_process = ""
"""What this process is called in its lines."""


def use(*, level: str, form: str) -> None:
    """Log at another level and in another form from now on, in this process and in those that are forked from it."""
    if _installed:
        install(process=_process, **{**_installed, "level": level, "form": form})


def rebind(process: str, *, as_it_is: bool = False) -> None:
    """Log in a freshly forked process as its parent did, under its own name; without effect before `install`.

    Args:
        process: what this process is called in its lines.
        as_it_is: its parent logged when it forked it, so there is nothing to look for.
    """
    global _process
    if not _installed:
        return
    _process = process
    if not as_it_is and (
        logging.root is not _ROOT or not _ROOT.handlers or _ROOT.handlers[0] is not _handler
    ):
        install(process=process, **_installed)


@contextlib.contextmanager
def muted(*, below: int) -> Iterator[None]:
    """Leave out the lines of this process below a level for a while; loggers notice nothing of it.

    Whatever name it logs under meanwhile, and for which session, it does so no longer afterwards.
    """
    global _process, _served_session
    own, handler = (_process, _served_session), _handler
    if handler is not None:
        handler.muted_below = below
    try:
        yield
    finally:
        _process, _served_session = own
        if handler is not None:
            handler.muted_below = logging.NOTSET


_files: dict[Path, SharedFile] = {}


def _shared_file(path: Path) -> SharedFile:
    """One object a path, so that a second `install` opens no second descriptor."""
    if path not in _files:
        _files[path] = SharedFile(path)
    return _files[path]
