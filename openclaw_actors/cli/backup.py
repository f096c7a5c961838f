"""Decides how a backup is taken: of a running gateway through its store, of a stopped one under its locks."""

from __future__ import annotations

__all__ = ["command"]

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, print_json

if TYPE_CHECKING:
    from openclaw_actors.config import StatePaths
    from openclaw_actors.store.backup_tar import About, BackupWriter, Totals

_BEGIN_S = 620.0
_PAGE_S = 40.0
_END_S = 5.0
_TRIES = 3
_AGAIN_S = 1.0
_PAGE_BYTES = 262_144
_NICE = 10
_WHAT = "backing up"
"""People who talk come first."""


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@json_option
@common_options
@pass_invocation
def command(invocation: Invocation, *, file: Path, force: bool, as_json: bool) -> None:
    """Write everything that the store holds at this moment into FILE, a tar file; gzipped if its name ends with gz.

    The gateway may run, and goes on as usual. FILE is readable by you alone, and there when it is whole. It holds
    what people said, but neither the configuration nor secrets.
    """
    from openclaw_actors.actors.rundir import read_record
    from openclaw_actors.cli.tables import size

    paths = invocation.paths()
    _check_target(file, paths, force=force)
    os.nice(_NICE)
    with _new_file(file, force=force) as out:
        compress = file.name.endswith("gz")
        if read_record(paths.run) is not None:
            about, totals = asyncio.run(_from_running(paths, out, compress=compress))
        else:
            about, totals = _from_stopped(paths, out, compress=compress)
        size_bytes = out.seek(0, os.SEEK_END)
    if as_json:
        print_json(
            {
                "file": str(file),
                "at": about.at,
                "version": about.version,
                "store_format": about.store_format,
                "files": totals.files,
                "size_bytes": totals.size_bytes,
                "file_bytes": size_bytes,
            }
        )
        return
    click.echo(
        f"{totals.files} files, {size(totals.size_bytes)}, are backed up in {file} ({size(size_bytes)})"
    )


def _check_target(file: Path, paths: StatePaths, *, force: bool) -> None:
    if os.path.lexists(file) and not force:
        raise click.ClickException(f"{file} is there already; --force replaces it")
    if not file.absolute().parent.is_dir():
        raise click.ClickException(f"there is no directory {file.absolute().parent}")
    if file.absolute().parent.resolve().is_relative_to(paths.memory.resolve()):
        raise click.ClickException(
            f"{file} would be in the store itself; choose another place, best another disk"
        )
    if not paths.memory.is_dir():
        raise click.ClickException(f"there is no store in {paths.memory}")


@contextlib.contextmanager
def _new_file(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """A file that appears under its name when it is whole and on the disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _appear(temporary, path, force=force)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _appear(temporary: Path, path: Path, *, force: bool) -> None:
    if force:
        os.replace(temporary, path)
    else:
        try:
            os.link(temporary, path)  # unlike a rename it overwrites nothing that has come meanwhile
            os.unlink(temporary)
        except FileExistsError:
            raise click.ClickException(f"{path} is there by now; --force replaces it") from None
        except OSError:
            os.replace(temporary, path)  # no hard links here
    directory = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


# Of a running gateway


async def _from_running(paths: StatePaths, out: IO[bytes], *, compress: bool) -> tuple[About, Totals]:
    """Ask for page after page; from the beginning, if the store was restarted meanwhile."""
    from openclaw_actors.errors import ActorGone, AskRefused, AskTimeout

    for last in (False,) * (_TRIES - 1) + (True,):
        out.seek(0)
        out.truncate()
        try:
            return await _one_try(paths, out, compress=compress)
        except (ActorGone, AskTimeout, AskRefused) as error:
            passes = not isinstance(error, AskRefused) or error.code in ("unavailable", "unknown")
            if last or not passes:
                raise
        await asyncio.sleep(_AGAIN_S)
    raise AssertionError("the last try returns or raises")


async def _one_try(paths: StatePaths, out: IO[bytes], *, compress: bool) -> tuple[About, Totals]:
    from openclaw_actors.actorsystem import Endpoint
    from openclaw_actors.cli.progress import Bar
    from openclaw_actors.cli.running import ask_supervisor, ask_when_ready, require_running
    from openclaw_actors.messages.backup import BeginBackup, EndBackup, ReadBackup
    from openclaw_actors.store.backup_tar import About

    name = secrets.token_hex(8)
    try:
        begun = await ask_when_ready(paths.run, BeginBackup(backup=name), timeout_s=_BEGIN_S)
        about = About(version=begun.version, store_format=begun.store_format, at=begun.at)
        record = require_running(paths.run)
        async with Endpoint(record.run_dir) as endpoint:
            with Bar(begun.size_bytes, _WHAT) as bar:
                writer = _writer(out, about, compress=compress)
                number = offset = 0
                complete = not begun.files
                while not complete:
                    wanted = ReadBackup(backup=name, number=number, offset=offset, max_bytes=_PAGE_BYTES)
                    page = await endpoint.ask(record.supervisor, wanted, timeout_s=_PAGE_S)
                    for piece in page.pieces:
                        writer.add(piece)
                    bar.advance(sum(len(piece.data) for piece in page.pieces))
                    number, offset, complete = page.number, page.offset, page.complete
                return about, writer.finish()
    finally:
        with contextlib.suppress(Exception):
            await ask_supervisor(require_running(paths.run), EndBackup(backup=name), timeout_s=_END_S)


# Of a stopped one


def _from_stopped(paths: StatePaths, out: IO[bytes], *, compress: bool) -> tuple[About, Totals]:
    from openclaw_actors import __version__
    from openclaw_actors.cli.progress import Bar
    from openclaw_actors.cli.stopped import stopped
    from openclaw_actors.store.backup_files import Item, Place, read, scan
    from openclaw_actors.store.backup_tar import About
    from openclaw_actors.store.migrations import FORMAT, refuse_newer

    with stopped(paths):
        about = About(version=__version__, store_format=refuse_newer(paths.memory) or FORMAT, at=time.time())
        root = os.fsencode(paths.memory)
        items = [
            Item(path, os.stat(os.path.join(root, path), follow_symlinks=False).st_size)
            for path, _ in scan(root)
        ]
        writer = _writer(out, about, compress=compress)
        with Bar(sum(item.size for item in items), _WHAT) as bar:
            place: Place | None = Place() if items else None
            while place is not None:
                page = read(root, items, place, max_bytes=_PAGE_BYTES)
                for piece in page.pieces:
                    writer.add(piece)
                bar.advance(sum(len(piece.data) for piece in page.pieces))
                place = page.after
        return about, writer.finish()


def _writer(out: IO[bytes], about: About, *, compress: bool) -> BackupWriter:
    from openclaw_actors.store.backup_tar import BackupWriter

    return BackupWriter(out, about, compress=compress)
