"""What is written down is read again; of what is damaged, cut off or malicious nothing counts."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import msgspec
import pytest

from openclaw_actors.store.backup_files import Item, Piece, Place, belongs, read, scan
from openclaw_actors.store.backup_tar import About, BackupInvalid, BackupWriter, read_backup
from openclaw_actors.store.files import Files
from openclaw_actors.store.restoring import check, unpack

ABOUT = About(version="1.2.3", store_format=1, at=1_000.5)
FILES = {
    b"format": b"1\n",
    b"sessions/a.jsonl": b"x" * 3_000,
    b"sessions/empty.jsonl": b"",
    b"sessions/" + b"n" * 200 + b".json": b"long",
    b"sessions/\xff\xc3\xa4.json": b"not Unicode",
    b"archive/" + b"0" * 64 + b"/20261126T000000Z-0123abcd/session.jsonl": b"y" * 512,
}


def written(files: dict[bytes, bytes] = FILES, *, compress: bool = False, piece: int = 1_000) -> bytes:
    out = io.BytesIO()
    writer = BackupWriter(out, ABOUT, compress=compress)
    for path, data in files.items():
        for offset in range(0, max(1, len(data)), piece):
            writer.add(Piece(path, len(data), 1_000.0, offset, data[offset : offset + piece]))
    totals = writer.finish()
    assert totals == (len(files), sum(map(len, files.values())))
    return out.getvalue()


class Collected:
    def __init__(self) -> None:
        self.files: dict[bytes, bytes] = {}
        self._path = b""

    def begin(self, path: str, modified_at: float) -> None:
        assert modified_at == 1_000.0
        self._path = os.fsencode(path)
        self.files[self._path] = b""

    def write(self, data: bytes) -> None:
        self.files[self._path] += data

    def end(self) -> None:
        self._path = b""


@pytest.mark.parametrize("compress", [False, True])
def test_what_was_written_is_read(compress: bool) -> None:
    collected = Collected()
    about, totals = read_backup(io.BytesIO(written(compress=compress)), collected)
    assert (about, totals.files) == (ABOUT, len(FILES))
    assert collected.files == FILES


def test_any_tar_program_reads_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(written(compress=True))) as tar:
        names = tar.getnames()
        assert names[0] == "about.json"
        assert names[-1] == "manifest.jsonl"
        found = tar.extractfile("memory/sessions/a.jsonl")
        assert found is not None
        assert found.read() == FILES[b"sessions/a.jsonl"]


@pytest.mark.parametrize("compress", [False, True])
def test_one_that_is_cut_off_anywhere_is_refused(compress: bool) -> None:
    data = written(compress=compress)
    manifest_ends = len(data) if compress else data.rfind(b'"size_bytes"')
    for length in range(0, manifest_ends, 97):
        with pytest.raises(BackupInvalid):
            read_backup(io.BytesIO(data[:length]))


def test_one_with_a_changed_byte_is_refused_and_the_file_is_named() -> None:
    data = bytearray(written())
    data[data.index(b"x" * 100) + 50] = ord("z")
    with pytest.raises(BackupInvalid, match=r"sessions/a\.jsonl"):
        read_backup(io.BytesIO(bytes(data)))
    packed = written(compress=True)
    for index in range(10, len(packed), 41):
        changed = bytearray(packed)
        changed[index] ^= 0x10
        try:
            collected = Collected()
            read_backup(io.BytesIO(bytes(changed)), collected)
        except BackupInvalid:
            continue
        assert gzip.decompress(changed) == gzip.decompress(packed), "gzip has bits that mean nothing"


def crafted(*members: tarfile.TarInfo, about: About = ABOUT) -> io.BytesIO:
    out = io.BytesIO()
    line = msgspec.json.encode(about) + b"\n"
    first = tarfile.TarInfo("about.json")
    first.size = len(line)
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(first, io.BytesIO(line))
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    out.seek(0)
    return out


def member(name: str, *, size: int = 1, type_: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, type_, link
    return info


@pytest.mark.parametrize(
    "bad",
    [
        member("memory/../../escaped"),
        member("memory/sessions/../../escaped"),
        member("/etc/escaped"),
        member("memory//escaped"),
        member("memory/elsewhere/file"),
        member("elsewhere"),
        member("memory/sessions/" + "a/" * 10 + "b"),
        member("memory/sessions/link", size=0, type_=tarfile.SYMTYPE, link="/etc/passwd"),
        member("memory/sessions/hard", size=0, type_=tarfile.LNKTYPE, link="memory/format"),
        member("memory/sessions/pipe", size=0, type_=tarfile.FIFOTYPE),
        member("memory/sessions", size=0, type_=tarfile.DIRTYPE),
        member("pax", size=1 << 20, type_=tarfile.XHDTYPE),
    ],
    ids=lambda info: info.name[:30],
)
def test_what_does_not_belong_into_a_store_is_refused(bad: tarfile.TarInfo, tmp_path: Path) -> None:
    with pytest.raises(BackupInvalid):
        unpack(crafted(bad), tmp_path / "memory", Files())
    assert list(tmp_path.iterdir()) == []


def test_the_same_file_twice_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    writer = BackupWriter(out, ABOUT, compress=False)
    for _ in range(2):
        writer.add(Piece(b"format", 2, 1_000.0, 0, b"1\n"))
    writer.finish()
    with pytest.raises(BackupInvalid, match="twice"):
        unpack(out, tmp_path / "memory", Files())
    assert list(tmp_path.iterdir()) == []


def test_newer_ones_and_other_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BackupInvalid, match=r"newer version \(9\.9"):
        read_backup(crafted(about=About(format=2, version="9.9", store_format=1, at=0.0)))
    newer = io.BytesIO()
    BackupWriter(newer, About(version="9.9", store_format=2, at=0.0), compress=False).finish()
    with pytest.raises(BackupInvalid, match="its store was written by a newer version"):
        check(newer, tmp_path / "memory")
    for data in (b"", b"hello", gzip.compress(b"hello" * 1_000), bytes(20_480)):
        with pytest.raises(BackupInvalid):
            read_backup(io.BytesIO(data))


def test_more_than_there_is_room_for_is_refused_before_it_is_read() -> None:
    bomb = written({b"sessions/a.jsonl": bytes(50_000_000)}, compress=True, piece=1_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(BackupInvalid, match="no room"):
        read_backup(io.BytesIO(bomb), max_bytes=1_000_000)


def test_what_is_being_written_does_not_belong_to_a_backup(tmp_path: Path) -> None:
    names = (
        "format",
        "usage.jsonl.3",
        "sessions/a.jsonl",
        "sessions/a.jsonl.quarantined-1",
        "branches/h/b.json",
    )
    others = (".format.1-2.tmp", "sessions/.a.json.1-2.tmp", ".backup/x/format", "core", "elsewhere/a")
    for name in (*names, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "link.json").symlink_to("/etc/passwd")
    assert sorted(os.fsdecode(path) for path, _ in scan(os.fsencode(tmp_path))) == sorted(names)
    assert all(map(belongs, names))
    assert not any(map(belongs, ("core", "elsewhere/a", ".backup/x/format", "sessions/../format", "..", "")))


def test_a_file_that_became_shorter_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "a").write_bytes(b"0123456789torn")
    items = [Item(b"sessions/a", 14), Item(b"sessions/a", 5)]
    os.truncate(tmp_path / "sessions" / "a", 10)
    page = read(os.fsencode(tmp_path), items, Place(), max_bytes=4)
    assert [(piece.size, piece.data) for piece in page.pieces] == [(10, b"0123")]
