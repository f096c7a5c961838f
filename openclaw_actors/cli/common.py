"""Owns what the commands have in common: their options, the loaded configuration, and how data is printed."""

from __future__ import annotations

__all__ = [
    "Invocation",
    "Seconds",
    "common_options",
    "json_option",
    "limit_option",
    "page_options",
    "pass_invocation",
    "paths_of",
    "print_json",
    "say_what_follows",
]

import functools
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from openclaw_actors.config import Loaded, StatePaths

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

_KEY = "openclaw_actors.invocation"


@dataclass
class Invocation:
    """What the common options of one invocation say, wherever on the line they stand."""

    config_file: Path | None = None
    state_dir: str | None = None
    debug: bool = False

    def load(self) -> Loaded:
        """Read the configuration; see `config.load`. Raises ConfigError."""
        from openclaw_actors.config import load

        return load(self.config_file, os.environ, self.overrides())

    def overrides(self, others: Mapping[str, object] | None = None) -> dict[str, object]:
        """Dotted key -> value, of the command line."""
        state_dir = {} if self.state_dir is None else {"state_dir": self.state_dir}
        return {**state_dir, **(others or {})}

    def find(self) -> Loaded:
        """Read what is needed to find a gateway that runs.

        It is found, and so can be looked at and ended, also when its configuration is broken by now.

        Raises:
            ConfigError: something is wrong, and no gateway runs where the rest of it leads.
        """
        from openclaw_actors.actors.rundir import read_record
        from openclaw_actors.config import examine
        from openclaw_actors.errors import ConfigError

        loaded, problems = examine(self.config_file, os.environ, self.overrides(), to_start=False)
        if problems and read_record(paths_of(loaded).run) is None:
            raise ConfigError(problems)
        return loaded

    def paths(self) -> StatePaths:
        """Where the gateway that is meant keeps its state. Raises ConfigError, as `find`."""
        return paths_of(self.find())


def paths_of(loaded: Loaded) -> StatePaths:
    """Where a gateway with this configuration keeps its state."""
    from openclaw_actors.config import find_paths

    return find_paths(loaded.config.state_dir, loaded.config.memory.storage_path, os.environ)


class Seconds(click.FloatRange):
    """A duration, from nothing to `longest` seconds."""

    name = "seconds"

    def __init__(self, *, longest: float) -> None:
        super().__init__(min=0.0, max=longest)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number of seconds. `nan` compares with nothing, so a range alone lets it pass."""
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return seconds


def _invocation() -> Invocation:
    meta = click.get_current_context().meta
    invocation: Invocation = meta.setdefault(_KEY, Invocation())
    return invocation


def _set_config(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        _invocation().config_file = value


def _set_state_dir(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        _invocation().state_dir = value


def _set_debug(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    if value:
        _invocation().debug = True


def common_options(command: F) -> F:
    """Add `--config`, `--state-dir` and `--debug` to a command."""
    options = (
        click.option(
            "-c",
            "--config",
            type=click.Path(path_type=Path),
            metavar="FILE",
            expose_value=False,
            callback=_set_config,
            help="The configuration file, else $OPENCLAW_CONFIG_PATH or ./conf/gateway.yaml.",
        ),
        click.option(
            "--state-dir",
            metavar="DIR",
            expose_value=False,
            callback=_set_state_dir,
            help="Where the gateway keeps its state, else `state_dir` of the configuration.",
        ),
        click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=_set_debug,
            help="Show the traceback of an unexpected error.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def json_option(command: F) -> F:
    """Add `--json` to a command that prints data."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def limit_option(default: int, text: str) -> Callable[[F], F]:
    """Add `--limit` to a command, from 1 to 10,000; `text` is its help."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1, max=10_000),
        default=default,
        show_default=True,
        metavar="N",
        help=text,
    )


def page_options(command: F) -> F:
    """Add `--offset` and `--limit` to a command that lists much."""
    offset = click.option(
        "--offset",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help="Leave out the first N.",
    )
    limit = limit_option(100, "Show N at most.")
    return offset(limit(command))


def say_what_follows(offset: int, shown: int, total: int) -> None:
    """Say below a page which part of the whole it is, and how to see the next, if there is one."""
    end = offset + shown
    if total > end:
        click.echo(f"{offset + 1} to {end} of {total}; --offset {end} shows more")


def pass_invocation(function: Callable[Concatenate[Invocation, P], R]) -> Callable[P, R]:
    """Call the command's function with the `Invocation` first."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(_invocation(), *args, **kwargs)

    return call


def print_json(value: Any) -> None:
    """Print one JSON document."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
