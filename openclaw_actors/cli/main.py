"""Decides which command runs, and which exit code and which line an error becomes.

Exit codes: 0 done, 1 failed, 2 usage or configuration error, 3 no gateway is running, 130 interrupted. The commands
are imported when they are used, so `--help` and `health` start fast.
"""

from __future__ import annotations

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_NOT_RUNNING", "EXIT_USAGE", "cli", "exit_code_of", "main"]

import difflib
import errno
import importlib
import sys
import traceback
from collections.abc import Sequence

import click

from openclaw_actors import __version__
from openclaw_actors.cli.common import common_options
from openclaw_actors.cli.streams import drop_unwritten, prepare_streams
from openclaw_actors.errors import (
    ActorGone,
    AlreadyRunning,
    AskRefused,
    AskTimeout,
    ConfigError,
    NotRunning,
    OpenClawError,
    StoreError,
)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_RUNNING = 3
EXIT_INTERRUPTED = 130

PROGRAM = "openclaw-actors"

_SECTIONS = {
    "Run it": {
        "start": ("openclaw_actors.cli.start", "Run the gateway in the foreground."),
        "stop": ("openclaw_actors.cli.stop", "Let running turns finish, and end the gateway."),
        "reload": ("openclaw_actors.cli.reload", "Take a changed configuration, without a restart."),
        "drain": ("openclaw_actors.cli.drain", "Refuse new messages, and finish what was accepted."),
        "config": ("openclaw_actors.cli.config", "Check and show the configuration."),
    },
    "Talk to it": {
        "chat": ("openclaw_actors.cli.chat", "Hold a conversation."),
        "send": ("openclaw_actors.cli.send", "Send one message, and print the answer as it comes."),
    },
    "Look at it": {
        "status": ("openclaw_actors.cli.status", "Show what runs: the tree of actors."),
        "health": ("openclaw_actors.cli.health", "Exit 0 if the gateway is healthy; for probes."),
        "doctor": ("openclaw_actors.cli.doctor.command", "Find out what is wrong, and what to do."),
        "usage": ("openclaw_actors.cli.usage", "Show what was used: tokens and time."),
    },
    "Act on what runs": {
        "sessions": ("openclaw_actors.cli.sessions", "List, stop, export, delete and restore conversations."),
        "actors": ("openclaw_actors.cli.actors", "Restart or stop an actor."),
        "approvals": ("openclaw_actors.cli.approvals", "List the tools that wait for you, and decide."),
        "outbox": ("openclaw_actors.cli.outbox", "List, retry and purge replies not sent by SMS."),
    },
    "Keep what it holds": {
        "backup": ("openclaw_actors.cli.backup", "Write all conversations into a file."),
        "restore": ("openclaw_actors.cli.restore", "Put a backup in the place of the store."),
        "retention": ("openclaw_actors.cli.retention", "Archive what is too old, and remove old archives."),
        "store": ("openclaw_actors.cli.store", "Bring a store to the format of this version."),
    },
}
"""By what they are for: name -> where the command is, and its line in the help."""

_COMMANDS = {name: command for section in _SECTIONS.values() for name, command in section.items()}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            near = difflib.get_close_matches(cmd_name, _COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"No such command '{cmd_name}'.{hint}", ctx)
        module = importlib.import_module(_COMMANDS[cmd_name][0])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _COMMANDS))
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in commands.items()])


@click.group(cls=_LazyGroup, invoke_without_command=True)
@click.version_option(__version__, "--version", prog_name=PROGRAM)
@common_options
@click.pass_context
def cli(context: click.Context) -> None:
    """A self-hosted gateway between people and an AI agent; every conversation is a process of its own.

    Begin with 'start', and 'chat' in a second terminal. 'COMMAND --help' says more of each command.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        prepare_streams()
        code = cli.main(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        drop_unwritten()  # the reader has left, as `| head` does
        return EXIT_FAILED
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except Exception as error:
        _tell(error, with_traceback="--debug" in arguments)
        return exit_code_of(error)
    return code if isinstance(code, int) else 0


def _tell(error: Exception, *, with_traceback: bool) -> None:
    try:
        if with_traceback:
            traceback.print_exc()
        for line in describe(error):
            click.echo(f"Error: {line}", err=True)
        sys.stdout.flush()
    except OSError:
        drop_unwritten()


def describe(error: Exception) -> list[str]:
    """What to tell a person of an error, a line each; only a configuration has several."""
    match error:
        case click.UsageError():
            context = error.ctx
            hint = f" See '{context.command_path} --help'." if context is not None else ""
            return [f"{error.format_message()}{hint}"]
        case click.ClickException():
            return [error.format_message()]
        case ConfigError():
            return [str(problem) for problem in error.problems] or ["the configuration cannot be used"]
        case AlreadyRunning():
            return [f"a gateway already runs on {error}; stop it first, or use another --state-dir"]
        case NotRunning():
            return [f"no gateway is running on {error}; start one with '{PROGRAM} start'"]
        case AskTimeout():
            return ["the gateway does not answer; see its log, or end it with 'stop'"]
        case ActorGone():
            return ["the gateway is restarting or ending; try again in a moment"]
        case AskRefused():
            return [error.text or error.code]
        case StoreError():
            return [str((error.args or ("",))[-1]) or str(error)]  # without its code
        case OpenClawError():
            return [str(error) or type(error).__name__]
        case OSError() if error.strerror:
            text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
            return [f"{text}; make room first" if error.errno == errno.ENOSPC else text]
    return [f"internal error: {type(error).__name__}: {_one_line(error)} (--debug shows where)"]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def exit_code_of(error: Exception) -> int:
    """The exit code that an error becomes."""
    match error:
        case click.UsageError() | ConfigError():
            return EXIT_USAGE
        case NotRunning():
            return EXIT_NOT_RUNNING
    return EXIT_FAILED
