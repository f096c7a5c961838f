"""What surrounds the gateway of a campaign and can be made to fail: its provider, its disk, the kernel's limits."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["BadDisk", "BadProvider", "SmallDisk", "few_descriptors"]

ROOT = Path(__file__).parents[1]
_READY_WITHIN_S = 30.0
_DISK_MB = 24


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
        self.missing = self._build()
        """Why there is no such layer; empty if there is."""

    def _build(self) -> str:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            return "there is no C compiler"
        source = Path(__file__).with_name("shim.c")
        command = [compiler, "-shared", "-fPIC", "-O1", "-D_LARGEFILE64_SOURCE", "-o", str(self._library)]
        built = subprocess.run([*command, str(source), "-ldl"], capture_output=True, text=True, check=False)
        return "" if built.returncode == 0 else f"shim.c cannot be compiled: {built.stderr[:200]}"

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
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m,mode=0700", "tmpfs", str(directory)]
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
def few_descriptors(pid: int) -> Iterator[int]:
    """The process can open no further file; yields how many it may have."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    now = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(now, before[1]), before[1]))
    try:
        yield now
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
