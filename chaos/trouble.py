"""What surrounds the gateway of a campaign and can be made to fail: its provider, its disk, the kernel's limits."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from chaos.preload import build

__all__ = ["BadDisk", "BadProvider", "SmallDisk", "few_descriptors", "few_processes", "user_apart"]

ROOT = Path(__file__).parents[1]
_READY_WITHIN_S = 30.0
_DISK_MB = 24
_FIRST_USER = 60_600
_USERS = 900


class BadProvider:
    """The process of `chaos.provider`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.spoiled: set[str] = set()
        """Messages that may have no good answer."""
        self._process: asyncio.subprocess.Process | None = None
        self._hearing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when it serves."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "chaos.provider",
            str(self.port),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(_READY_WITHIN_S):
            await self._process.stdout.readline()
        self._hearing = asyncio.ensure_future(self._hear(self._process.stdout))

    async def _hear(self, said: asyncio.StreamReader) -> None:
        while line := await said.readline():
            self.spoiled.add(json.loads(line)["spoiled"])

    async def behave(self, mode: str, count: int) -> None:
        """Has its next answers go wrong."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{mode} {count}\n".encode())
        await self._process.stdin.drain()

    async def stop(self) -> None:
        """Ends it."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._hearing is not None:
            await self._hearing


class BadDisk:
    """A layer between the gateway and its store that fails, falls short or takes its time (`shim.c`).

    Args:
        directory: for the layer's own files.
        store: what it befalls.
    """

    def __init__(self, directory: Path, store: Path) -> None:
        self._library = directory / "shim.so"
        self._trouble = directory / "trouble"
        self._store = store
        self.missing = build("shim.c", self._library)
        """Why there is no such layer; empty if there is."""

    @property
    def environment(self) -> dict[str, str]:
        """What the gateway must be started with."""
        if self.missing:
            return {}
        return {
            "LD_PRELOAD": str(self._library),
            "OPENCLAW_CHAOS_STORE": str(self._store),
            "OPENCLAW_CHAOS_TROUBLE": str(self._trouble),
        }

    @contextlib.contextmanager
    def troubled(
        self, *, code: int = errno.EIO, fail: int = 0, short: int = 0, slow_ms: int = 0
    ) -> Iterator[None]:
        """Of a hundred calls so many fail with this error, so many writes are short, and each takes so long."""
        new = self._trouble.with_suffix(".new")
        new.write_text(f"{code} {fail} {short} {slow_ms}\n")
        new.replace(self._trouble)
        try:
            yield
        finally:
            self._trouble.unlink()


class SmallDisk:
    """A file system of a few megabytes, where root may make one.

    Args:
        directory: where it is mounted; is made.
        owner: the user whose it is.
    """

    def __init__(self, directory: Path, owner: int) -> None:
        self.directory = directory
        directory.mkdir()
        options = f"size={_DISK_MB}m,mode=0700,uid={owner}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
        try:
            mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            mounted = False
        self.missing = "" if mounted else "only root can mount a file system"
        """Why it is no file system of its own; empty if it is."""

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Not one byte is free."""
        filler = self.directory / "filler"
        with filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)
        try:
            yield
        finally:
            filler.unlink()

    def remove(self) -> None:
        """Unmounts it."""
        if not self.missing:
            subprocess.run(["umount", "-l", str(self.directory)], check=False)


@contextlib.contextmanager
def few_descriptors(pid: int, words: Sequence[str]) -> Iterator[None]:
    """The process can open no further file.

    Args:
        words: before a command, to run it as the process's user, who may set its limits.
    """
    with _limited(pid, resource.RLIMIT_NOFILE, max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1, words):
        yield


@contextlib.contextmanager
def few_processes(pid: int, words: Sequence[str]) -> Iterator[None]:
    """The process can begin no process and no thread. The kernel lets root have its way all the same."""
    with _limited(pid, resource.RLIMIT_NPROC, 1, words):
        yield


@contextlib.contextmanager
def _limited(pid: int, what: int, most: int, words: Sequence[str]) -> Iterator[None]:
    soft, hard = resource.prlimit(pid, what) if not words else _asked(pid, what)
    now = most if hard == resource.RLIM_INFINITY else min(most, hard)
    _set_limit(pid, what, (now, hard), words)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            _set_limit(pid, what, (soft, hard), words)


_ROWS = {resource.RLIMIT_NOFILE: "Max open files", resource.RLIMIT_NPROC: "Max processes"}


def _asked(pid: int, what: int) -> tuple[int, int]:
    """As the kernel tells everybody."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith(_ROWS[what]):
            soft, hard = line.removeprefix(_ROWS[what]).split()[:2]
            return _number(soft), _number(hard)
    raise ProcessLookupError(f"{pid} has no limits")


def _number(text: str) -> int:
    return resource.RLIM_INFINITY if text == "unlimited" else int(text)


def _set_limit(pid: int, what: int, limits: tuple[int, int], words: Sequence[str]) -> None:
    if not words:
        resource.prlimit(pid, what, limits)
        return
    code = "import resource, sys; resource.prlimit(*map(int, sys.argv[1:3]), tuple(map(int, sys.argv[3:])))"
    numbers = map(str, (pid, what, *limits))
    done = subprocess.run(
        [*words, sys.executable, "-S", "-c", code, *numbers], capture_output=True, text=True, check=False
    )
    if "ProcessLookupError" in done.stderr:
        raise ProcessLookupError(f"{pid} has ended")
    if done.returncode:
        raise OSError(done.stderr.strip().rpartition("\n")[2])


def user_apart(directory: Path) -> tuple[int, list[str]] | None:
    """A user whom limits bind, with the words before a command that make it theirs; None: there is none.

    Whoever is not root is bound by limits. For root another user is made up, who may read what root may, since the
    interpreter often stands in root's home; the directory becomes theirs.
    """
    if os.getuid() != 0:
        return os.getuid(), []
    user = _FIRST_USER + os.getpid() % _USERS
    words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    words += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    os.chown(directory, user, -1)
    probe = [*words, sys.executable, "-c", "import openclaw_actors"]
    try:
        done = subprocess.run(
            probe, cwd=directory, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=False
        )
        usable = done.returncode == 0
    except OSError:
        usable = False  # there is no setpriv
    if usable:
        return user, words
    os.chown(directory, 0, -1)
    return None
