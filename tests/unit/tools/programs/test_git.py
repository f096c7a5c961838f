"""The tool `git`, with the real git: work in a repository, and what a hostile one cannot do."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.tools.base import ToolFailed
from openclaw_actors.tools.git import GitArguments, GitTool
from openclaw_actors.tools.registry import toolbox_of
from tests.unit.tools.programs.conftest import MakePrograms
from tests.unit.tools.programs.hosting import Host

QUIET = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "HOME": "/nonexistent",
}


def raw(directory: Path, *arguments: str) -> str:
    """Git as a person would use it."""
    return subprocess.run(
        ["git", *arguments], cwd=directory, env=QUIET, capture_output=True, text=True, check=True
    ).stdout


def repository(directory: Path) -> Path:
    directory.mkdir(parents=True)
    raw(directory, "init", "-q", "-b", "main")
    raw(directory, "config", "user.email", "a@example.com")
    raw(directory, "config", "user.name", "A")
    (directory / "file").write_text("one\n")
    raw(directory, "add", ".")
    raw(directory, "commit", "-q", "-m", "first")
    return directory


class Scene:
    """A tool in a workspace with the repository `r`."""

    def __init__(self, programs: Any, **settings: Any) -> None:
        self.workspace: Path = programs.workspace
        self.path = repository(self.workspace / "r")
        self.tool = GitTool(Host(programs, plugins={"native": {"git_tools": {"enabled": True, **settings}}}))

    def git(self, subcommand: str, *arguments: str, cwd: str = "r") -> str:
        return asyncio.run(self.tool.run(GitArguments(subcommand=subcommand, args=list(arguments), cwd=cwd)))


@pytest.fixture
def scene(make_programs: MakePrograms) -> Scene:
    return Scene(make_programs(environ=QUIET, passed=("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")))


def test_a_piece_of_work(scene: Scene) -> None:
    (scene.path / "file").write_text("two\n")
    assert "M file" in scene.git("status", "-s")
    assert "1 file changed" in scene.git("diff")
    assert "+two" in scene.git("diff", "-U0")
    scene.git("checkout", "-b", "work")
    scene.git("add", "-A")
    assert "[exit: 0]" in scene.git(
        "commit", "-m", "- second\n\nwith a body; $(and) `more`".replace("- ", "")
    )
    assert "second" in scene.git("log")
    scene.git("checkout", "main")
    assert "Fast-forward" in scene.git("merge", "work")
    scene.git("tag", "-a", "v1", "-m", "one")
    assert "v1" in scene.git("tag")
    assert raw(scene.path, "log", "-1", "--format=%B").startswith("second\n\nwith a body; $(and) `more`")


def test_an_error_of_git_is_told(scene: Scene) -> None:
    said = scene.git("show", "nothing")
    assert said.startswith("[exit: 128]")
    assert "nothing" in said


def test_an_editor_that_is_not_there_keeps_nobody_waiting(scene: Scene) -> None:
    (scene.path / "file").write_text("two\n")
    assert "Aborting commit due to empty commit message" in scene.git("commit", "-a")


@pytest.mark.parametrize(
    "subcommand", ["config", "clone", "submodule", "worktree", "bisect", "alias", "-c", ""]
)
def test_other_subcommands_are_refused(scene: Scene, subcommand: str) -> None:
    with pytest.raises(ToolFailed, match="Unsupported git subcommand") as failed:
        scene.git(subcommand)
    assert failed.value.status == "denied"


@pytest.mark.parametrize("subcommand", ["push", "pull", "reset"])
def test_what_reaches_further_needs_permission(scene: Scene, subcommand: str) -> None:
    with pytest.raises(ToolFailed, match="allow_push"):
        scene.git(subcommand)


def test_it_exists_only_where_it_is_enabled(make_programs: MakePrograms) -> None:
    assert toolbox_of(Host(make_programs())).find("git") is None


# Where it works


def test_a_directory_outside_the_roots_is_refused(scene: Scene, tmp_path: Path) -> None:
    repository(tmp_path / "other")
    (scene.workspace / "link").symlink_to(tmp_path / "other")
    for cwd in ("../other", str(tmp_path / "other"), "link", "r/../../other", "\0"):
        with pytest.raises(ToolFailed, match="outside"):
            scene.git("log", cwd=cwd)
    with pytest.raises(ToolFailed, match="no directory"):
        scene.git("log", cwd="nowhere")


def test_a_repository_around_the_workspace_is_not_found(make_programs: MakePrograms, tmp_path: Path) -> None:
    raw(tmp_path, "init", "-q")
    programs = make_programs(environ=QUIET)
    scene = Scene(programs)
    (scene.workspace / "plain").mkdir()
    with pytest.raises(ToolFailed, match="not a git repository"):
        scene.git("status", cwd="plain")


def test_a_git_file_that_leads_outside_is_refused(scene: Scene, tmp_path: Path) -> None:
    other = repository(tmp_path / "other")
    (scene.workspace / "trick").mkdir()
    (scene.workspace / "trick" / ".git").write_text(f"gitdir: {other}/.git\n")
    with pytest.raises(ToolFailed, match="reaches outside"):
        scene.git("log", cwd="trick")


def test_objects_of_a_repository_outside_are_refused(scene: Scene, tmp_path: Path) -> None:
    other = repository(tmp_path / "other")
    (scene.path / ".git/objects/info/alternates").write_text(f"{other}/.git/objects\n")
    with pytest.raises(ToolFailed, match="reaches outside"):
        scene.git("log")


# What a hostile repository cannot do

EVERY = [
    ("status",),
    ("diff",),
    ("diff", "-p"),
    ("log", "-p"),
    ("show",),
    ("add", "-A"),
    ("add", "-u"),
    ("commit", "-a", "-m", "x"),
    ("stash",),
    ("checkout", "-f"),
    ("branch", "-a"),
    ("merge", "HEAD"),
    ("rebase", "HEAD"),
    ("cherry-pick", "HEAD"),
    ("tag", "t"),
]


def run_everything(scene: Scene) -> None:
    for command in EVERY:
        (scene.path / "file").write_text("two\n")
        os.utime(scene.path / "file", (time.time() + len(command), time.time() + len(command)))
        try:
            scene.git(*command)
        except ToolFailed:
            continue


def test_hooks_and_monitors_do_not_run(scene: Scene, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for name in ("pre-commit", "post-commit", "post-checkout", "post-merge", "pre-rebase", "commit-msg"):
        hook = scene.path / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
        hook.chmod(0o755)
    raw(scene.path, "config", "core.fsmonitor", f"touch {ran}; false")
    raw(scene.path, "config", "commit.gpgSign", "true")
    raw(scene.path, "config", "gpg.program", f"touch {ran}; false")
    run_everything(scene)
    assert "x" in scene.git("log", "-1")
    assert not ran.exists()


@pytest.mark.parametrize("ignore", ["", "\tignore = none\n"])
def test_a_repository_within_it_does_not_run_anything(scene: Scene, tmp_path: Path, ignore: str) -> None:
    ran = tmp_path / "ran"
    inner = repository(scene.path / "a b" / 'in\n"ner')
    raw(scene.path, "add", "-A")
    raw(scene.path, "commit", "-q", "-m", "with inner")
    raw(inner, "config", "core.fsmonitor", f"touch {ran}; false")
    (inner / ".gitattributes").write_text("* filter=f\n")
    if ignore:
        text = f'[submodule "inner"]\n\tpath = a b/x\n\turl = ./x\n{ignore}'
        (scene.path / ".gitmodules").write_text(text)
    for command in EVERY:
        (inner / "file").write_text("two\n")
        scene.git(*command)
    raw(inner, "config", "filter.f.clean", f"touch {ran}; cat")
    for command in EVERY:
        (inner / "file").write_text("two\n")
        with pytest.raises(ToolFailed, match=r"sets filter\.f\.clean"):
            scene.git(*command)
    assert not ran.exists()
    raw(scene.path, "add", "-u")
    assert ran.exists(), "without the checks it would have run"


@pytest.mark.parametrize("key", ["filter.f.clean", "diff.f.textconv", "diff.external", "merge.f.driver"])
def test_a_configuration_with_programs_is_refused(scene: Scene, tmp_path: Path, key: str) -> None:
    ran = tmp_path / "ran"
    raw(scene.path, "config", key, f"touch {ran}; cat")
    (scene.path / ".gitattributes").write_text("* filter=f diff=f merge=f\n")
    with pytest.raises(ToolFailed, match=f"sets {key}"):
        scene.git("status")
    run_everything(scene)
    assert not ran.exists()


def test_a_configuration_that_is_included_is_read_too(scene: Scene, tmp_path: Path) -> None:
    (scene.path / "more").write_text("[core]\n\tsshCommand = x\n")
    raw(scene.path, "config", "include.path", "../more")
    with pytest.raises(ToolFailed, match="sets include"):
        scene.git("status")


def test_an_interrupted_rebase_runs_nothing(scene: Scene, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    environ = {**QUIET, "GIT_SEQUENCE_EDITOR": f"printf 'break\\nexec touch {ran}\\n' >"}
    subprocess.run(["git", "rebase", "-q", "-i", "--root"], cwd=scene.path, env=environ, check=True)
    with pytest.raises(ToolFailed, match="rebase that was interrupted"):
        scene.git("rebase", "--continue")
    assert not ran.exists()


def test_a_bare_repository_in_the_tree_is_not_used(scene: Scene) -> None:
    raw(scene.path, "init", "-q", "--bare", "trap")
    with pytest.raises(ToolFailed, match="Error: "):
        scene.git("status", cwd="r/trap")


# Remotes


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A git server with one empty repository; its URL."""
    (tmp_path / "served").mkdir()
    raw(tmp_path / "served", "init", "-q", "--bare", "-b", "main", "x.git")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["git", "daemon", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}", "--export-all"]
    command += ["--enable=receive-pack", f"--base-path={tmp_path / 'served'}"]
    daemon = subprocess.Popen(command, env=QUIET, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    yield f"git://127.0.0.1:{port}/x.git"
    os.killpg(daemon.pid, 9)
    daemon.wait()


def test_a_push_and_a_fetch_with_permission(server: str, make_programs: MakePrograms) -> None:
    scene = Scene(make_programs(environ=QUIET), allow_push=True)
    raw(scene.path, "remote", "add", "origin", server)
    assert "[exit: 0]" in scene.git("push", "-u", "origin", "main")
    assert "[exit: 0]" in scene.git("fetch", "origin")
    assert "up to date" in scene.git("pull")
    assert "[exit: 0]" in scene.git("reset", "--hard", "HEAD")


@pytest.mark.parametrize("url", ["ext::sh -c 'touch ran'", "file", "path"])
def test_a_remote_that_is_no_network_is_not_reached(
    make_programs: MakePrograms, tmp_path: Path, url: str
) -> None:
    other = repository(tmp_path / "other")
    scene = Scene(make_programs(environ=QUIET), allow_push=True)
    wanted = {"file": f"file://{other}", "path": str(other)}.get(url, url)
    raw(scene.path, "remote", "add", "origin", wanted)
    said = scene.git("fetch", "origin")
    assert "not allowed" in said
    assert not (scene.path / "ran").exists()
