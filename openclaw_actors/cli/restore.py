"""Decides how a backup is put in the place of the store of a stopped gateway."""

from __future__ import annotations

__all__ = ["command"]

import os
from pathlib import Path

import click

from openclaw_actors.cli.common import Invocation, common_options, json_option, pass_invocation, print_json


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only check FILE, and say what would be done.")
@click.option("--force", is_flag=True, help="Also where there are conversations: they are set aside.")
@json_option
@common_options
@pass_invocation
def command(invocation: Invocation, *, file: Path, dry_run: bool, force: bool, as_json: bool) -> None:
    """Put the backup FILE in the place of the store. The gateway must be stopped.

    All of FILE is checked first. The store that is there is set aside beside its place, and nothing is removed.
    """
    from openclaw_actors.cli.progress import Bar, CountedFile
    from openclaw_actors.cli.stopped import stopped
    from openclaw_actors.cli.tables import size, when
    from openclaw_actors.config import prepare_paths
    from openclaw_actors.store.backup_tar import BackupInvalid
    from openclaw_actors.store.files import Files
    from openclaw_actors.store.restoring import check, conversations_in, exchange, unpack

    loaded = invocation.find()
    paths = invocation.paths()
    if not dry_run:
        prepare_paths(loaded.config.state_dir, loaded.config.memory.storage_path, os.environ)
    root = paths.memory.resolve()  # where it is a link to another disk, that is where it stays
    aside: Path | None = None
    doubted = 0
    reads = file.stat().st_size * (1 if dry_run else 2)  # it is checked, then unpacked
    with stopped(paths), Bar(reads, "restoring") as bar, CountedFile(file, bar) as source:
        there = conversations_in(root)
        if there and not (force or dry_run):
            conversations = "1 conversation" if there == 1 else f"{there} conversations"
            raise click.ClickException(
                f"there is a store with {conversations} in {paths.memory}; --force sets it aside and restores {file}"
            )
        try:
            about, totals = check(source, root)
            if not dry_run:
                unpacked, doubted = unpack(source, root, Files())
                aside = exchange(unpacked, root, Files())
        except BackupInvalid as error:
            raise click.ClickException(f"{file} cannot be restored: {error}; nothing was changed") from error
    if as_json:
        print_json(
            {
                "file": str(file),
                "dry_run": dry_run,
                "at": about.at,
                "version": about.version,
                "store_format": about.store_format,
                "files": totals.files,
                "size_bytes": totals.size_bytes,
                "store": str(paths.memory),
                "conversations_there": there,
                "set_aside": None if aside is None else str(aside),
                "doubted": doubted,
            }
        )
        return
    what = f"{totals.files} files, {size(totals.size_bytes)}, of {when(about.at)} (version {about.version})"
    if dry_run:
        click.echo(f"{file} is whole: {what}")
        if there:
            click.echo(f"the store in {paths.memory} would be set aside; that takes --force")
        return
    click.echo(f"{what}, are restored in {paths.memory}")
    if aside is not None:
        click.echo(f"the store that was there is {aside}; remove it when you need it no more")
    if doubted:
        click.echo(
            f"replies of {doubted} {'number' if doubted == 1 else 'numbers'} may have been sent since; "
            "'outbox list' shows those that wait for you"
        )
