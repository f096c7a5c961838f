"""Owns what a migration replaces, until the version that migrated has been ready once.

    .before-migration/about.json    from which format to which one, and whether it is being put back
    .before-migration/files/…       a second name (hard link) of every file, as it stood before the first step

Steps replace files and never change one in place, and nothing is appended while this directory is there: so it is the
store from before, and needs room only for what was replaced. A version that knows the old format and not the new one
puts it back when it opens the store; by then nobody was told that anything is stored in the new one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

import msgspec

from openclaw_actors.store.backup_files import TREES, scan
from openclaw_actors.store.files import Files

__all__ = ["Kept", "confirm", "is_kept", "keep", "kept_of", "put_back", "remove_leftovers"]

logger = logging.getLogger(__name__)

_KEPT = ".before-migration"
_UNFINISHED = ".before-migration.tmp"
_NOT_NEEDED = ".before-migration.done"
_ABOUT, _FILES, _REPLACED = "about.json", "files", "replaced"
_LOCK = "store.lock"
"""Stays: it is held, and the count in it may only rise."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What `about.json` says.

    Args:
        before: the format of the files that are kept; 0 where none was written down.
        to: the format that the store was to have afterwards.
        names: of all that stood in the store's directory; what else stands there came with the steps.
        putting_back: some of them may be in their place again already.
    """

    before: int
    to: int
    names: tuple[str, ...]
    putting_back: bool = False


def kept_of(root: Path) -> Kept | None:
    """What is kept of a store; None if nothing is. Raises OSError."""
    try:
        return msgspec.json.decode((root / _KEPT / _ABOUT).read_bytes(), type=Kept)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.MsgspecError as error:
        raise OSError(f"{root / _KEPT / _ABOUT} is damaged: {error}") from None


def is_kept(root: Path) -> bool:
    """Whether the version that migrated the store was not ready yet."""
    return (root / _KEPT).is_dir()


def keep(root: Path, files: Files, *, before: int, to: int) -> None:
    """Keep every file as it stands, before the first step. What an earlier try has kept stays what is kept.

    Args:
        root: the store's directory, locked by us.
        before: its format.
        to: the format that it will have.

    Raises:
        OSError: it cannot be kept, and no step may be taken.
    """
    kept = kept_of(root)
    if kept is not None:
        files.replace(root / _KEPT / _ABOUT, msgspec.json.encode(msgspec.structs.replace(kept, to=to)))
        return
    paths = [path for path, _ in scan(os.fsencode(root)) if path != os.fsencode(_LOCK)]
    if not paths:
        return  # a store that is just being made
    names = [name for name in os.listdir(root) if not name.startswith(_KEPT)]
    unfinished = root / _UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    (unfinished / _FILES).mkdir(mode=0o700)
    for name in TREES:
        if (root / name).is_dir():
            (unfinished / _FILES / name).mkdir(mode=0o700)
    for path in paths:
        target = unfinished / _FILES / os.fsdecode(path)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _second_name(root / os.fsdecode(path), target)
    about = Kept(before=before, to=to, names=tuple(sorted(names)))
    files.write_new(unfinished / _ABOUT, msgspec.json.encode(about))
    files.flush_all()
    files.rename(unfinished, root / _KEPT)
    files.flush_directory(root)


def _second_name(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # the file system knows no hard links, or no more of them
        shutil.copy2(source, target, follow_symlinks=False)


def confirm(root: Path) -> bool:
    """Say that the version which migrated is ready: from here on nothing is put back. May be called by any process.

    Returns:
        Whether anything was kept.

    Raises:
        OSError: it cannot be said; the store's owner waits.
    """
    try:
        os.rename(root / _KEPT, root / _NOT_NEEDED)
    except FileNotFoundError:
        return False
    return True


def put_back(root: Path, files: Files) -> None:
    """Put what is kept in its place. May be interrupted anywhere, and is begun anew then.

    Args:
        root: the store's directory, locked by us.

    Raises:
        OSError: it cannot be done now.
    """
    kept = kept_of(root)
    if kept is None:
        return
    directory = root / _KEPT
    if not kept.putting_back:
        files.replace(
            directory / _ABOUT, msgspec.json.encode(msgspec.structs.replace(kept, putting_back=True))
        )
    files.make_directory(directory / _REPLACED)
    for name in os.listdir(root):
        if name not in kept.names and name != _LOCK and not name.startswith(_KEPT):
            files.rename(root / name, _free(directory / _REPLACED / name))
    for name in os.listdir(directory / _FILES):
        with contextlib.suppress(FileNotFoundError):  # an earlier try moved it away
            files.rename(root / name, _free(directory / _REPLACED / name))
        files.rename(directory / _FILES / name, root / name)
    files.flush_directory(directory / _FILES)
    files.flush_directory(root)
    files.rename(directory, root / _NOT_NEEDED)
    files.flush_directory(root)
    logger.warning(
        "the store is as it was before it was brought to format %d: the version that did so was never ready",
        kept.to,
    )
    remove_leftovers(root)


def _free(path: Path) -> Path:
    count, free = 0, path
    while os.path.lexists(free):
        count += 1
        free = path.with_name(f"{path.name}-{count}")
    return free


def remove_leftovers(root: Path) -> None:
    """Remove what is not needed any more. Only names of files go, unless they were replaced."""
    for name in (_UNFINISHED, _NOT_NEEDED):
        shutil.rmtree(root / name, ignore_errors=True)
