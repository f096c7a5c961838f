"""Decides how the gateway is started: the configuration, the secrets, the state directory, then the process itself."""

from __future__ import annotations

__all__ = ["command"]

import asyncio
import gc
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from openclaw_actors.cli.common import Invocation, Seconds, common_options, pass_invocation

if TYPE_CHECKING:
    from openclaw_actors.cli.handover import Handover
    from openclaw_actors.cli.takeover import TakeOver
    from openclaw_actors.config import GatewayConfig, Loaded, StatePaths

LOG_NAME = "gateway.log"
_PORT = click.IntRange(0, 65_535)


@click.command("start")
@click.option("--demo", is_flag=True, help="Use the demo provider, whatever the configuration says.")
@click.option("--port", type=_PORT, metavar="PORT", help="Port of the WebSocket channel; 0: any free one.")
@click.option("--http-port", type=_PORT, metavar="PORT", help="Port of the HTTP channel; 0: any free one.")
@click.option(
    "--no-last-good",
    is_flag=True,
    help="Do not start on the last good configuration where the present one is broken.",
)
@click.option(
    "--take-over",
    is_flag=True,
    help="Take the place of the gateway that runs; it serves again if this one does not get ready.",
)
@click.option(
    "--grace",
    type=Seconds(longest=86_400.0),
    metavar="S",
    help="With --take-over: seconds for turns that run; the others are continued.  [default: 1]",
)
@common_options
@pass_invocation
def command(
    invocation: Invocation,
    *,
    demo: bool,
    port: int | None,
    http_port: int | None,
    no_last_good: bool,
    take_over: bool,
    grace: float | None,
) -> None:
    """Run the gateway in the foreground. SIGTERM or Ctrl-C ends it in order, a second one at once.

    SIGHUP has it read its configuration again, as `reload` does.
    """
    if grace is not None and not take_over:
        raise click.UsageError("--grace belongs to --take-over; 'stop --grace' is for ending.")
    overrides: dict[str, object] = {}
    if demo:
        overrides.update({"llm.provider": "demo", "llm.demo_faults": True})
    if port is not None:
        overrides["port"] = port
    if http_port is not None:
        overrides["http.port"] = http_port
    if invocation.debug:
        overrides["logging.level"] = "debug"
    overrides = invocation.overrides(overrides)
    known = _read_or_take_over(invocation, overrides, last_good=not (no_last_good or take_over))
    _say(f"configuration: {known.file or 'built-in defaults'}")
    if known.warning:
        _say(f"NOT THE PRESENT CONFIGURATION: {known.warning}")
    code = _run(invocation, known, overrides, take_over=take_over, grace_s=grace)
    click.get_current_context().exit(code)


def _read_or_take_over(invocation: Invocation, overrides: dict[str, object], *, last_good: bool) -> Handover:
    """The configuration, in a process that neither holds a secret nor has ever held one."""
    from openclaw_actors.cli.handover import VARIABLE, Handover, hand_over, must_hand_over, take_over
    from openclaw_actors.config.lastgood import last_good_of

    taken = take_over(os.environ)
    os.environ.pop(VARIABLE, None)
    if isinstance(taken, Handover):
        return taken
    if taken is not None:
        click.echo(f"Error: {taken}", err=True)
    loaded, warning = _load(invocation, overrides, last_good=last_good)
    for line in loaded.warnings:
        click.echo(f"Warning: {line}", err=True)
    known = Handover(
        config=loaded.config,
        file=None if loaded.path is None else str(loaded.path),
        good=None if warning else last_good_of(loaded),
        warning=warning,
    )
    if must_hand_over(loaded.config, os.environ):
        hand_over(known)
    return known


def _load(invocation: Invocation, overrides: dict[str, object], *, last_good: bool) -> tuple[Loaded, str]:
    """The configuration and, if it is the last good one, why.

    Raises:
        ConfigError: something is wrong, and no last good configuration can stand in.
    """
    from openclaw_actors.cli.tables import when
    from openclaw_actors.config import examine
    from openclaw_actors.config.lastgood import LastGoodUnusable, load_last_good
    from openclaw_actors.errors import ConfigError

    loaded, problems = examine(invocation.config_file, os.environ, overrides)
    if not problems:
        return loaded, ""
    if not last_good:
        raise ConfigError(problems)
    try:
        good, kept = load_last_good(
            Path(loaded.config.state_dir), invocation.config_file, os.environ, overrides
        )
    except LastGoodUnusable as reason:
        why = [f"the last good configuration cannot stand in: {reason}"] if str(reason) else []
        raise ConfigError([*problems, *why]) from None
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    others = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    warning = (
        f"the configuration is broken ({problems[0]}{others}); this gateway runs on the last good one, "
        f"of {when(kept.saved_at)}; mend it, then 'reload'"
    )
    click.echo(f"Warning: {warning}", err=True)
    return good, warning


def _run(
    invocation: Invocation,
    known: Handover,
    overrides: dict[str, object],
    *,
    take_over: bool,
    grace_s: float | None,
) -> int:
    from openclaw_actors import logs
    from openclaw_actors.actors import catalogue
    from openclaw_actors.actors.root import Root, check_open_files
    from openclaw_actors.actors.root_boot import BootPlan
    from openclaw_actors.actors.service_manager import ServiceManager
    from openclaw_actors.config import prepare_paths
    from openclaw_actors.config.origin import Origin, stamps_of
    from openclaw_actors.errors import AlreadyRunning, OpenClawError

    config = known.config
    manager = ServiceManager.take(os.environ)
    paths = prepare_paths(config.state_dir, config.memory.storage_path, os.environ)
    check_open_files(config)
    log = config.logging
    logs.install(paths.logs / LOG_NAME, process="start", level=log.level, form=log.format)
    _say(f"state: {paths.state}")
    catalogue.load_all()
    old = _examine_old(paths, config, grace_s) if take_over else None
    named = invocation.config_file
    plan = BootPlan(
        config=config,
        secrets=known.references,
        run=paths.run,
        supervisor=catalogue.load("supervisor"),
        origin=Origin(
            file=None if named is None else os.path.abspath(named),
            overrides=overrides,
            vault=known.vault,
            hidden=known.hidden,
            stamps=stamps_of(known.references),
            warning=known.warning,
            listening={} if old is None else {"websocket": old.record.ws, "http": old.record.http},
        ),
        good=known.good,
    )
    if known.warning:
        logging.getLogger(__name__).error("%s", known.warning)
    gc.collect()
    gc.freeze()

    async def run() -> int:
        root = Root(
            plan,
            say=_say,
            ready=lambda ws, http: _ready(ws, http, paths, tls=config.tls.on),
            manager=manager,
            old=None if old is None else old.record,
            old_grace_s=0.0 if old is None else old.grace_s,
        )
        return await root.run()

    try:
        return asyncio.run(run())
    except AlreadyRunning:
        raise AlreadyRunning(_owner(paths)) from None
    except (OpenClawError, OSError):
        if old is not None:
            _tell_of_old(paths, old)
        raise


def _examine_old(paths: StatePaths, config: GatewayConfig, grace_s: float | None) -> TakeOver | None:
    from openclaw_actors.cli.takeover import GRACE_S, examine_old

    return examine_old(paths, config, grace_s=GRACE_S if grace_s is None else grace_s, say=_say)


def _tell_of_old(paths: StatePaths, old: TakeOver) -> None:
    from openclaw_actors.cli.takeover import until_old_serves

    click.echo("Error: the take-over failed; waiting for the gateway from before", err=True)
    click.echo(f"Error: {until_old_serves(paths.run, old)}", err=True)


def _owner(paths: StatePaths) -> str:
    from openclaw_actors.actors.rundir import read_record

    record = read_record(paths.run)
    return str(paths.state) if record is None else f"{paths.state} (pid {record.pid})"


def _ready(ws: str, http: str, paths: StatePaths, *, tls: bool) -> None:
    s = "s" if tls else ""
    _say(f"ready ws=ws{s}://{ws}/ws http=http{s}://{http} state={paths.state}")


def _say(line: str) -> None:
    """Tell whoever started the gateway; nobody may be listening any more."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it stays until the process ends
