"""Where the state is, which directories are refused, and where sockets go when their path would be too long."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_actors.config import find_paths, prepare_paths
from openclaw_actors.config.paths import RUN_NAME_RESERVE, SOCKET_PATH_MAX, expand
from openclaw_actors.errors import StateDirError


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="oca-") as name:
        yield Path(name)


def test_directories_are_made_private(place: Path) -> None:
    paths = prepare_paths(str(place / "a" / "s"), str(place / "m"), {})
    assert paths.run == place / "a" / "s" / "run"
    assert paths.memory == place / "m"
    for path in (paths.state, paths.run, paths.logs):
        assert path.stat().st_mode & 0o777 == 0o700
    assert prepare_paths(str(place / "a" / "s"), str(place / "m"), {}) == paths


def test_an_open_run_directory_is_closed(place: Path) -> None:
    (place / "run").mkdir(mode=0o777)
    (place / "run").chmod(0o777)
    assert prepare_paths(str(place), "m", {}).run.stat().st_mode & 0o777 == 0o700


def test_finding_makes_nothing(place: Path) -> None:
    find_paths(str(place / "s"), str(place / "s" / "memory"), {})
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("length", [SOCKET_PATH_MAX - RUN_NAME_RESERVE + 1, 150])
def test_a_long_path_moves_the_sockets_and_leaves_a_link(place: Path, length: int) -> None:
    state = str(place / "s")
    state += "s" * (length - len(state) - len("/run"))
    base = place / "x"
    base.mkdir()
    paths = prepare_paths(state, f"{state}/memory", {"XDG_RUNTIME_DIR": str(base)})
    assert paths.run.parent == base
    assert paths.run.stat().st_mode & 0o777 == 0o700
    assert os.readlink(f"{state}/run") == str(paths.run)
    # A command without that variable, and a start after the temporary directory was cleaned, find it too.
    assert find_paths(state, f"{state}/memory", {}).run == paths.run
    paths.run.rmdir()
    assert prepare_paths(state, f"{state}/memory", {}).run == paths.run
    assert paths.run.is_dir()


def test_two_state_directories_never_share_their_sockets(place: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(place)}
    runs = {find_paths(f"/{'d' * 120}/{name}", "m", environ).run for name in ("a", "b")}
    assert len(runs) == 2


def test_a_link_that_lies_in_wait_in_a_shared_directory_is_refused(place: Path) -> None:
    """Followed, it would have `start` close and fill a directory of somebody else's choice."""
    state, environ = f"{place}/{'s' * 120}", {"XDG_RUNTIME_DIR": str(place)}
    victim = place / "mine"
    victim.mkdir(mode=0o755)
    find_paths(state, "m", environ).run.symlink_to(victim)
    with pytest.raises(StateDirError, match="is a link"):
        prepare_paths(state, "m", environ)
    assert victim.stat().st_mode & 0o777 == 0o755


def test_a_link_for_the_logs_is_refused_and_for_the_state_taken(place: Path) -> None:
    (place / "real").mkdir()
    (place / "s").symlink_to("real")
    prepare_paths(str(place / "s"), "m", {})
    (place / "real" / "logs").rmdir()
    (place / "real" / "logs").symlink_to(place)
    with pytest.raises(StateDirError, match=r"logs is a link"):
        prepare_paths(str(place / "s"), "m", {})


@pytest.mark.parametrize("name", ["s", "s/run", "s/logs"])
def test_what_is_no_directory_is_refused_with_what_to_do(place: Path, name: str) -> None:
    (place / name).parent.mkdir(exist_ok=True)
    (place / name).write_text("")
    with pytest.raises(StateDirError, match=r"is not a directory; choose another with --state-dir"):
        prepare_paths(str(place / "s"), "m", {})


def test_a_state_directory_below_a_file_or_beyond_a_names_length_is_refused(place: Path) -> None:
    (place / "file").write_text("")
    for state in (place / "file" / "s", place / ("s" * 300)):
        with pytest.raises(StateDirError, match="cannot"):
            prepare_paths(str(state), "m", {"XDG_RUNTIME_DIR": str(place)})


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(place: Path) -> None:
    os.chown(place, 65534, -1)
    with pytest.raises(StateDirError, match=r"belongs to another user \(uid 65534\)"):
        prepare_paths(str(place), "m", {})


def test_a_path_may_begin_at_home(place: Path) -> None:
    assert expand("~/x/../y", {"HOME": "/h"}) == Path("/h/y")
    assert expand("~", {"HOME": "/h"}) == Path("/h")
    assert expand("a~", {"HOME": "/h"}) == Path.cwd() / "a~"
