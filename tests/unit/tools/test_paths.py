"""No path leads out of the allowed directories, however it is written, and nobody learns what is there."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.tools.base import Tool, ToolFailed
from openclaw_actors.tools.edits import EditFileTool, WriteFileTool
from openclaw_actors.tools.files import ListFilesTool, ReadFileTool
from tests.unit.tools.place import Workplace

AT_FDCWD = -100
RENAME_EXCHANGE = 2


def escapes(place: Workplace) -> dict[str, str]:
    """Name -> a path that leads to a file that is not allowed."""
    workspace, secret = place.make(), place.outside / "secret.txt"
    (workspace / "sub").mkdir()
    (workspace / "absolute").symlink_to(secret)
    (workspace / "relative").symlink_to("../../outside/secret.txt")
    (workspace / "directory").symlink_to(place.outside)
    (workspace / "chain").symlink_to("chain-2")
    (workspace / "chain-2").symlink_to("directory")
    (workspace / "root").symlink_to("/proc/self/root")
    (workspace / "up").symlink_to("sub/../../..")
    os.link(secret, workspace / "hard")
    fd = os.open(place.outside, os.O_PATH)
    return {
        "absolute path": str(secret),
        "dots": "../../outside/secret.txt",
        "dots behind a name": "sub/../../../outside/secret.txt",
        "dots behind an absolute path": f"{workspace}/../../outside/secret.txt",
        "prefix of the name": f"{workspace}-2/x",
        "link to a file": "absolute",
        "relative link": "relative",
        "linked directory": "directory/secret.txt",
        "chain of links": "chain/secret.txt",
        "link with dots": "up/outside/secret.txt",
        "link into proc": f"root{secret}",
        "proc root": f"/proc/self/root{secret}",
        "proc cwd": "/proc/self/cwd/pyproject.toml",
        "proc descriptor": f"/proc/self/fd/{fd}/secret.txt",
        "proc task": f"/proc/self/task/{os.getpid()}/root{secret}",
        "device descriptor": f"/dev/fd/{fd}/secret.txt",
        "hard link": "hard",
        "home": "~/.profile",
        "home of another": "~root/.profile",
        "environment of a process": "/proc/self/environ",
        "double slash": f"//{secret}",
    }


NAMES = [
    "absolute path",
    "dots",
    "dots behind a name",
    "dots behind an absolute path",
    "prefix of the name",
    "link to a file",
    "relative link",
    "linked directory",
    "chain of links",
    "link with dots",
    "link into proc",
    "proc root",
    "proc cwd",
    "proc descriptor",
    "proc task",
    "device descriptor",
    "hard link",
    "home",
    "home of another",
    "environment of a process",
    "double slash",
]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_outside_is_read_or_written(place: Workplace, name: str) -> None:
    paths = escapes(place)
    assert set(paths) == set(NAMES)
    path = paths[name]
    failure = place.refusal(ReadFileTool, path=path)
    assert failure.status == "denied"
    assert failure.text.startswith(f"Error: Read access denied for path: {path} (")
    for tool, arguments in (
        (WriteFileTool, {"content": "x"}),
        (EditFileTool, {"old_text": "the", "new_text": "x"}),
    ):
        failure = place.refusal(tool, path=path, **arguments)
        assert failure.status == "denied"
        assert failure.text.startswith(f"Error: Write access denied for path: {path} (")
    assert (place.outside / "secret.txt").read_text() == "the secret"
    assert [each.name for each in place.outside.iterdir()] == ["secret.txt"]


def test_the_denial_says_what_is_allowed(place: Workplace) -> None:
    text = place.refusal(ReadFileTool, path="/etc/passwd").text
    assert text == (
        f"Error: Read access denied for path: /etc/passwd (it is not in an allowed directory: {place.workspace})"
    )
    place.read_roots = []
    assert "(it is not in an allowed directory: there is none)" in place.refusal(ReadFileTool, path="a").text


@pytest.mark.parametrize("tool", [ReadFileTool, ListFilesTool])
def test_nobody_learns_what_exists_outside(place: Workplace, tool: type) -> None:
    place.make()
    (place.workspace / "link").symlink_to(place.outside)
    (place.workspace / "loop").symlink_to(place.outside / "loop")
    (place.outside / "loop").symlink_to(place.outside / "loop")
    for path in ("link/secret.txt", "link/nothing", "link/secret.txt/below", "link/loop/x", "loop"):
        text = place.refusal(tool, path=path).text
        assert text == (
            f"Error: Read access denied for path: {path} (it is not in an allowed directory: {place.workspace})"
        )


def test_a_way_through_what_may_not_exist_tells_nothing(place: Workplace) -> None:
    (place.make() / "a").write_text("A")
    for through in (place.outside, place.directory / "nothing"):
        assert place.call(ReadFileTool, path=f"{through}/../state/workspace/a") == "A"


def test_links_within_the_allowed_directories_are_followed(place: Workplace) -> None:
    workspace, other = place.make(), place.directory / "other"
    other.mkdir()
    (other / "b").write_text("B")
    place.read_roots.append(str(other))
    (workspace / "a").write_text("A")
    (workspace / "near").symlink_to("a")
    (workspace / "far").symlink_to(other)
    (other / "back").symlink_to(workspace)
    for path, text in (
        ("near", "A"),
        ("far/b", "B"),
        ("far/back/far/b", "B"),
        (str(other / "back" / "a"), "A"),
    ):
        assert place.call(ReadFileTool, path=path) == text
    assert place.refusal(WriteFileTool, path="far/b", content="x").status == "denied"


def test_a_workspace_may_be_reached_by_a_link(place: Workplace) -> None:
    (place.make() / "a").write_text("A")
    alias = place.directory / "alias"
    alias.symlink_to(place.workspace)
    assert place.call(ReadFileTool, path=str(alias / "a")) == "A"
    place.read_roots = [str(alias)]
    assert place.call(ReadFileTool, path="a") == "A"


def test_links_in_a_circle_end(place: Workplace) -> None:
    workspace = place.make()
    (workspace / "a").symlink_to("b")
    (workspace / "b").symlink_to("a")
    (workspace / "c").symlink_to("c/c")
    for path in ("a", "c"):
        assert "Too many levels of symbolic links" in place.refusal(ReadFileTool, path=path).text


def test_a_root_may_be_a_file(place: Workplace) -> None:
    place.read_roots = [str(place.outside / "secret.txt")]
    assert place.call(ReadFileTool, path=str(place.outside / "secret.txt")) == "the secret"
    assert place.refusal(ReadFileTool, path=str(place.outside / "other")).status == "denied"


def test_a_star_is_everywhere_but_in_the_gateways_own_files(place: Workplace) -> None:
    place.make()
    place.read_roots = ["*"]
    memory = place.directory / "state" / "memory"
    memory.mkdir()
    (memory / "conversation").write_text("of somebody else")
    assert place.call(ReadFileTool, path=str(place.outside / "secret.txt")) == "the secret"
    failure = place.refusal(ReadFileTool, path="../memory/conversation")
    assert "(it is the gateway's own)" in failure.text
    place.read_roots = [str(place.directory)]
    assert place.refusal(ReadFileTool, path=str(memory / "nothing")).text.endswith(
        "(it is the gateway's own)"
    )
    place.read_roots = [str(memory)]
    assert place.call(ReadFileTool, path=str(memory / "conversation")) == "of somebody else"


def test_the_workspace_is_made_for_its_owner_alone(place: Workplace) -> None:
    assert place.refusal(ReadFileTool, path="a").text == "Error: File not found: a"
    assert place.workspace.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("path", "text"), [("", "must not be empty"), ("a\0b", "hold no NUL"), ("x" * 5000, "4096")]
)
def test_what_is_no_path_is_refused(place: Workplace, path: str, text: str) -> None:
    for tool in (ReadFileTool, ListFilesTool):
        assert text in place.refusal(tool, path=path).text
    assert text in place.refusal(WriteFileTool, path=path, content="x").text


def test_a_name_that_is_too_long_is_an_error_of_words(place: Workplace) -> None:
    assert "File name too long" in place.refusal(ReadFileTool, path="x" * 300).text
    assert "File name too long" in place.refusal(WriteFileTool, path="x" * 300, content="x").text


@pytest.mark.parametrize("kind", ["named pipe", "socket", "directory"])
def test_what_could_block_is_not_opened(place: Workplace, kind: str) -> None:
    path = place.make() / "thing"
    with socket.socket(socket.AF_UNIX) as listener:
        match kind:
            case "named pipe":
                os.mkfifo(path)
            case "socket":
                listener.bind(str(path))
            case _:
                path.mkdir()
        for tool, arguments in (
            (ReadFileTool, {}),
            (WriteFileTool, {"content": "x"}),
            (EditFileTool, {"old_text": "a", "new_text": "b"}),
        ):
            assert f"thing is a {kind}, not a file." in place.refusal(tool, path="thing", **arguments).text


def test_a_device_is_not_opened_even_where_everything_is_allowed(place: Workplace) -> None:
    place.read_roots = place.write_roots = ["*"]
    assert place.refusal(ReadFileTool, path="/dev/zero").text == "Error: /dev/zero is a device, not a file."
    assert place.refusal(WriteFileTool, path="/dev/null", content="x").text.endswith(
        "is a device, not a file."
    )


@pytest.fixture
def mounted(place: Workplace) -> Iterator[Path]:
    """A bind mount of the directory outside, in the workspace."""
    libc = ctypes.CDLL(None, use_errno=True)
    target = place.make() / "mounted"
    target.mkdir()
    if libc.mount(os.fsencode(place.outside), os.fsencode(target), None, 4096, None) != 0:
        pytest.skip("only root may mount")
    yield target
    libc.umount2(os.fsencode(target), 2)


def test_a_mount_in_the_workspace_is_not_part_of_it(place: Workplace, mounted: Path) -> None:
    for path in ("mounted/secret.txt", "mounted/nothing", "mounted"):
        failure = place.refusal(ReadFileTool, path=path)
        assert failure.status == "denied"
        assert "another file system" in failure.text
    assert "another file system" in place.refusal(WriteFileTool, path="mounted/new", content="x").text
    assert not (place.outside / "new").exists()
    assert (
        place.call(ListFilesTool, recursive=True)
        == "mounted/\n[mounted/ is another file system, and is left out]"
    )
    place.read_roots.append(str(mounted))
    assert place.call(ReadFileTool, path="mounted/secret.txt") == "the secret"


def test_a_directory_that_becomes_a_link_meanwhile_lets_nobody_out(place: Workplace) -> None:
    """Somebody swaps it without pause, while files in it are read, written and listed."""
    workspace = place.make()
    inside, link = workspace / "d", workspace / "link"
    inside.mkdir()
    (inside / "secret.txt").write_text("mine")
    link.symlink_to(place.outside)
    ended = threading.Event()
    libc = ctypes.CDLL(None, use_errno=True)
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        names = os.fsencode(inside), os.fsencode(link)
        while not ended.is_set():
            assert libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0
            swaps += 1
            time.sleep(0.0001)  # without it the test waits for the interpreter's lock most of its time

    thread = threading.Thread(target=swap)
    thread.start()
    said = set()
    try:
        for number in range(1_000):
            said.add(attempt(place, ReadFileTool, path="d/secret.txt"))
            if number % 4 == 0:
                attempt(place, WriteFileTool, path="d/new", content="x")
                said.add(attempt(place, ListFilesTool, path="d", pattern="secret*"))
    finally:
        ended.set()
        thread.join()
    assert swaps > 100
    assert {"mine", "secret.txt (4 bytes)"} <= said
    assert not any("the secret" in each or "10 bytes" in each for each in said)
    assert [each.name for each in place.outside.iterdir()] == ["secret.txt"]


def attempt(place: Workplace, tool: type[Tool[Any]], **arguments: object) -> str:
    try:
        return place.call(tool, **arguments)
    except ToolFailed as failure:
        return failure.text
