"""Owns what every check is given: the configuration, the places on disk, and the gateway that runs, if one does."""

from __future__ import annotations

__all__ = ["Context", "assemble"]

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openclaw_actors.actors.rundir import RunRecord, read_record
from openclaw_actors.cli.doctor.gateway import Gateway
from openclaw_actors.cli.doctor.probing import Probing
from openclaw_actors.config import GatewayConfig, Problem, StatePaths, examine, find_paths
from openclaw_actors.errors import StateDirError


@dataclass(frozen=True, kw_only=True)
class Context:
    """What is known before the first check."""

    config: GatewayConfig
    """With the default in the place of each bad value."""
    paths: StatePaths
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    file: Path | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    record: RunRecord | None = None
    """Of the gateway that runs on the state directory."""
    run_problem: str = ""
    """Why the run directory cannot be used, or not be read."""
    gateway: Gateway | None = None
    probing: Probing
    proc: Path = Path("/proc")
    cgroups: Path = Path("/sys/fs/cgroup")

    @property
    def places_known(self) -> bool:
        """Whether the configuration says for sure where the state is: nothing is repaired elsewhere."""
        unsure = ("state_dir", "memory.storage_path", "")
        return not any(
            each.key in unsure or each.kind in ("file", "syntax", "more") for each in self.problems
        )

    @property
    def pid(self) -> int:
        """The process whose limits count: that of `start`, or else this one, from which one would be started."""
        return self.record.pid if self.record is not None else os.getpid()


def assemble(config_file: Path | None, state_dir: str | None, environ: Mapping[str, str]) -> Context:
    """Find out what there is to check. Raises nothing: what is wrong is for the checks to say.

    Args:
        config_file: from the command line.
        state_dir: from the command line.
        environ: the environment.
    """
    overrides = {} if state_dir is None else {"state_dir": state_dir}
    loaded, problems = examine(config_file, environ, overrides)
    config = loaded.config
    run_problem = ""
    try:
        paths = find_paths(config.state_dir, config.memory.storage_path, environ)
    except StateDirError as failed:
        state = Path(config.state_dir)
        run_problem = str(failed)
        paths = StatePaths(
            state=state, run=state / "run", logs=state / "logs", memory=Path(config.memory.storage_path)
        )
    record = None
    try:
        record = None if run_problem else read_record(paths.run)
    except StateDirError as failed:
        run_problem = str(failed)
    gateway = None if record is None else Gateway(record)
    return Context(
        config=config,
        paths=paths,
        problems=tuple(problems),
        warnings=loaded.warnings,
        file=loaded.path,
        sources=loaded.sources,
        environ=environ,
        record=record,
        run_problem=run_problem,
        gateway=gateway,
        probing=Probing(config.llm, environ, gateway),
    )
