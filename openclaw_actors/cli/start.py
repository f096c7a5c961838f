"""Decides how the gateway is started: the configuration, the secrets, the state directory, then the process itself."""

from __future__ import annotations

__all__ = ["command"]

import asyncio
import gc
import os
import sys
from typing import TYPE_CHECKING

import click

from openclaw_actors.cli.common import Invocation, common_options, pass_invocation

if TYPE_CHECKING:
    from openclaw_actors.cli.handover import Handover
    from openclaw_actors.config import StatePaths

LOG_NAME = "gateway.log"
_PORT = click.IntRange(0, 65_535)


@click.command("start")
@click.option("--demo", is_flag=True, help="Use the demo provider, whatever the configuration says.")
@click.option("--port", type=_PORT, metavar="PORT", help="Of the WebSocket channel; 0 is any free one.")
@click.option("--http-port", type=_PORT, metavar="PORT", help="Of the HTTP channel; 0 is any free one.")
@common_options
@pass_invocation
def command(invocation: Invocation, *, demo: bool, port: int | None, http_port: int | None) -> None:
    """Run the gateway in the foreground. SIGTERM or Ctrl-C ends it in order, a second one at once."""
    overrides: dict[str, object] = {}
    if demo:
        overrides.update({"llm.provider": "demo", "llm.demo_faults": True})
    if port is not None:
        overrides["port"] = port
    if http_port is not None:
        overrides["http.port"] = http_port
    known = _read_or_take_over(invocation, overrides)
    _say(f"configuration: {known.file or 'built-in defaults'}")
    code = _run(invocation, known)
    click.get_current_context().exit(code)


def _read_or_take_over(invocation: Invocation, overrides: dict[str, object]) -> Handover:
    """The configuration, in a process that neither holds a secret nor has ever held one."""
    from openclaw_actors.cli.handover import VARIABLE, Handover, hand_over, must_hand_over, take_over

    taken = take_over(os.environ)
    os.environ.pop(VARIABLE, None)
    if isinstance(taken, Handover):
        return taken
    if taken is not None:
        click.echo(f"Error: {taken}", err=True)
    loaded = invocation.load(overrides)
    for warning in loaded.warnings:
        click.echo(f"Warning: {warning}", err=True)
    file = None if loaded.path is None else str(loaded.path)
    if must_hand_over(loaded.config, os.environ):
        hand_over(loaded.config, file)
    return Handover(config=loaded.config, file=file)


def _run(invocation: Invocation, known: Handover) -> int:
    from openclaw_actors import logs
    from openclaw_actors.actors import catalogue
    from openclaw_actors.actors.root import Root, check_open_files
    from openclaw_actors.actors.root_boot import BootPlan
    from openclaw_actors.actors.service_manager import ServiceManager
    from openclaw_actors.config import prepare_paths
    from openclaw_actors.errors import AlreadyRunning

    config = known.config
    manager = ServiceManager.take(os.environ)
    paths = prepare_paths(config.state_dir, config.memory.storage_path, os.environ)
    check_open_files(config)
    level = "debug" if invocation.debug else config.logging.level
    logs.install(paths.logs / LOG_NAME, process="start", level=level, form=config.logging.format)
    _say(f"state: {paths.state}")
    catalogue.load_all()
    plan = BootPlan(
        config=config, secrets=known.references, run=paths.run, supervisor=catalogue.load("supervisor")
    )
    gc.collect()
    gc.freeze()

    async def run() -> int:
        root = Root(
            plan, say=_say, ready=lambda ws, http: _ready(ws, http, paths, tls=config.tls.on), manager=manager
        )
        return await root.run()

    try:
        return asyncio.run(run())
    except AlreadyRunning:
        raise AlreadyRunning(_owner(paths)) from None


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
