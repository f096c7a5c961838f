"""Decides how a backup is written down: a tar file, gzipped or not, whose last member says what must be in it.

    about.json         what this is, which version wrote it, of which moment it is
    memory/…           the files of the store
    manifest.jsonl     about.json again; of each file, in order, length and SHA-256; how many and how much

`tar` unpacks it. It is read here without trusting a byte of it: nothing is kept in memory whose length it may choose,
and no path leads out. Everything here blocks.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, Protocol

import msgspec

from openclaw_actors.errors import OpenClawError
from openclaw_actors.store.backup_files import Piece, belongs

__all__ = ["FORMAT", "About", "BackupInvalid", "BackupWriter", "Sink", "Totals", "read_backup"]

FORMAT = 1
KIND = "openclaw-actors backup"
_ABOUT, _MANIFEST, _FILES = "about.json", "manifest.jsonl", "memory/"
_BLOCK = 512
_RECORD = 10_240
_CHUNK = 262_144
_MAX_ABOUT_BYTES = 65_536
_MAX_PAX_BYTES = 65_536
_MAX_TRAILING = 1_048_576
_SPOOL_BYTES = 8_388_608
_COMPRESSION = 6


class BackupInvalid(OpenClawError):
    """Raised when a file is no backup that can be restored; the text says why."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What stands at the beginning of a backup."""

    kind: str = KIND
    format: int = FORMAT
    version: str
    """Of the gateway that wrote it."""
    store_format: int
    at: float
    """The moment that it shows, Unix time in seconds."""


class Totals(NamedTuple):
    """What a backup holds."""

    files: int
    size_bytes: int


class Sink(Protocol):
    """Takes the files of a backup, one after the other. Raises OSError."""

    def begin(self, path: str, modified_at: float) -> None: ...

    def write(self, data: bytes) -> None: ...

    def end(self) -> None: ...


# Writing


class BackupWriter:
    """Writes a backup.

    Args:
        file: where to; the writer closes nothing.
        compress: whether with gzip.
    """

    def __init__(self, file: IO[bytes], about: About, *, compress: bool) -> None:
        self._gzip: gzip.GzipFile | None = None
        self._out: Any = file
        if compress:
            self._gzip = gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0)
            self._out = self._gzip
        self._written = 0
        self._files = 0
        self._sum = 0
        self._left = 0
        self._path = b""
        self._size = 0
        self._hash = hashlib.sha256()
        self._manifest: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - `finish` closes it
        self._at = about.at
        line = _about_line(about)
        self._manifest.write(line)
        self._member(_ABOUT, len(line), about.at)
        self._put(line)
        self._pad(len(line))

    def add(self, piece: Piece) -> None:
        """The next part of a file.

        Raises:
            ValueError: it does not follow the one before.
            OSError: it cannot be written.
        """
        if not piece.offset and not self._left:
            self._path, self._size, self._left = piece.path, piece.size, piece.size
            self._hash = hashlib.sha256()
            self._member(_FILES + _text(piece.path), piece.size, piece.modified_at)
        if piece.path != self._path or piece.offset != self._size - self._left:
            raise ValueError(f"{_text(piece.path)} at {piece.offset} is not what follows")
        self._put(piece.data)
        self._hash.update(piece.data)
        self._left -= len(piece.data)
        if not self._left:
            self._pad(self._size)
            self._manifest.write(_file_line(_text(self._path), self._size, self._hash.hexdigest()))
            self._files += 1
            self._sum += self._size

    def finish(self) -> Totals:
        """Ends it; the file is whole then. Raises OSError."""
        if self._left:
            raise ValueError(f"{_text(self._path)} is not whole")
        totals = Totals(self._files, self._sum)
        self._manifest.write(_end_line(totals))
        size = self._manifest.tell()
        self._manifest.seek(0)
        self._member(_MANIFEST, size, self._at)
        while data := self._manifest.read(_CHUNK):
            self._put(data)
        self._manifest.close()
        self._pad(size)
        self._put(bytes(2 * _BLOCK))
        self._put(bytes(-self._written % _RECORD))
        if self._gzip is not None:
            self._gzip.close()
        return totals

    def _member(self, name: str, size: int, modified_at: float) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, max(0, int(modified_at)), 0o600
        self._put(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))

    def _pad(self, size: int) -> None:
        self._put(bytes(-size % _BLOCK))

    def _put(self, data: bytes) -> None:
        self._out.write(data)
        self._written += len(data)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _about_line(about: About) -> bytes:
    return msgspec.json.encode(about) + b"\n"


def _file_line(path: str, size: int, digest: str) -> bytes:
    return json.dumps({"path": path, "size": size, "sha256": digest}).encode() + b"\n"


def _end_line(totals: Totals) -> bytes:
    return json.dumps(totals._asdict()).encode() + b"\n"


# Reading


class _Member(NamedTuple):
    name: str
    size: int
    modified_at: float


class _Stream:
    """What stands in the file, uncompressed; never more than is asked for is in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        magic = file.read(2)
        file.seek(0)
        self._file: Any = gzip.GzipFile(fileobj=file, mode="rb") if magic == b"\x1f\x8b" else file

    def exactly(self, size: int) -> bytes:
        """So many bytes, at most a chunk. Raises BackupInvalid."""
        data = self._some(size)
        while len(data) < size and (more := self._some(size - len(data))):
            data += more
        if len(data) < size:
            raise BackupInvalid("it is cut off: the end is missing")
        return data

    def end(self) -> None:
        """Nothing may follow but what fills a tar file up; what gzip says of the whole is checked by this."""
        if self.exactly(2 * _BLOCK).strip(b"\0"):
            raise BackupInvalid("something follows its manifest")
        for _ in range(_MAX_TRAILING // _RECORD):
            data = self._some(_RECORD)
            if not data:
                return
            if data.strip(b"\0"):
                break
        raise BackupInvalid("something follows its end")

    def _some(self, size: int) -> bytes:
        try:
            return bytes(self._file.read(size))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BackupInvalid(f"it is damaged or cut off: {error}") from error

    def chunks(self, size: int) -> Iterator[bytes]:
        """So many bytes in pieces, and what fills up the last block of them."""
        left = size
        while left:
            data = self.exactly(min(left, _CHUNK))
            left -= len(data)
            yield data
        self.exactly(-size % _BLOCK)


def read_backup(
    file: IO[bytes], sink: Sink | None = None, *, max_bytes: int | None = None
) -> tuple[About, Totals]:
    """Read a backup to its end, and check all of it.

    Args:
        file: one that can be sought in.
        sink: is given the files; what it was given counts only when this returns. None: they are only checked.
        max_bytes: more must not be in it, uncompressed.

    Raises:
        BackupInvalid: it is none, is damaged, or is not whole.
        OSError: it cannot be read, or the sink fails.
    """
    stream = _Stream(file)
    first = _next_member(stream)
    if first is None or first.name != _ABOUT or first.size > _MAX_ABOUT_BYTES:
        raise BackupInvalid("it is no backup of openclaw-actors")
    line = b"".join(stream.chunks(first.size))
    about = _read_about(line)
    files = size_bytes = 0
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as expected:
        expected.write(line)
        while (member := _next_member(stream)) is not None and member.name != _MANIFEST:
            path = member.name.removeprefix(_FILES)
            if not member.name.startswith(_FILES) or not belongs(path):
                raise BackupInvalid(f"it holds {_shown(member.name)}, which does not belong into a store")
            size_bytes += member.size
            if max_bytes is not None and size_bytes > max_bytes:
                raise BackupInvalid(f"it holds more than {max_bytes} bytes, for which there is no room")
            digest = _copy(stream, member, path, sink)
            expected.write(_file_line(path, member.size, digest))
            files += 1
        if member is None:
            raise BackupInvalid("it is not whole: the manifest at its end is missing")
        totals = Totals(files, size_bytes)
        expected.write(_end_line(totals))
        _compare(stream, member, expected)
    stream.end()
    return about, totals


def _read_about(line: bytes) -> About:
    try:
        about = msgspec.json.decode(line, type=About)
    except (msgspec.DecodeError, ValueError) as error:
        raise BackupInvalid("it is no backup of openclaw-actors") from error
    if about.kind != KIND:
        raise BackupInvalid("it is no backup of openclaw-actors")
    if about.format > FORMAT:
        raise BackupInvalid(
            f"it was written by a newer version ({about.version}; format {about.format}, this one knows {FORMAT})"
        )
    return about


def _copy(stream: _Stream, member: _Member, path: str, sink: Sink | None) -> str:
    digest = hashlib.sha256()
    if sink is not None:
        sink.begin(path, member.modified_at)
    for data in stream.chunks(member.size):
        digest.update(data)
        if sink is not None:
            sink.write(data)
    if sink is not None:
        sink.end()
    return digest.hexdigest()


def _compare(stream: _Stream, member: _Member, expected: IO[bytes]) -> None:
    """The manifest must say exactly what was found."""
    length = expected.tell()
    expected.seek(0)
    same = member.size == length
    for data in stream.chunks(member.size):
        there = expected.read(len(data))
        if data != there:
            line = _first_difference(data, there)
            raise BackupInvalid(f"it is damaged: the manifest does not fit {line}")
    if not same:
        raise BackupInvalid("it is not whole: the manifest names other files than there are")


def _first_difference(data: bytes, there: bytes) -> str:
    for said, computed in zip(data.split(b"\n"), there.split(b"\n"), strict=False):
        if said != computed:
            try:
                return _shown(str(json.loads(computed)["path"]))
            except (ValueError, KeyError, TypeError):
                break
    return "what is in it"


def _next_member(stream: _Stream) -> _Member | None:
    """The header of the next member; None at the end."""
    name = ""
    while True:
        block = stream.exactly(_BLOCK)
        if not block.strip(b"\0"):
            return None
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise BackupInvalid(f"it is no tar file, or damaged: {error}") from error
        if info.type == tarfile.XHDTYPE and info.size <= _MAX_PAX_BYTES and not name:
            name = _pax_path(b"".join(stream.chunks(info.size)))
        elif info.type == tarfile.REGTYPE and info.size >= 0:
            return _Member(name or info.name, info.size, info.mtime)
        else:
            raise BackupInvalid(f"it holds {_shown(info.name)}, which is no file")


def _pax_path(data: bytes) -> str:
    """What a pax header says of the path; we write it for nothing else."""
    while data:
        length, _, _ = data.partition(b" ")
        if not (length.isdigit() and len(length) < 8 and len(length) < int(length) <= len(data)):
            break
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        if key == b"path":
            return _text(value)
        data = data[int(length) :]
    raise BackupInvalid("it is damaged: a file's name cannot be read")


def _shown(name: str) -> str:
    return ascii(name[:200])
