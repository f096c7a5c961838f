"""Owns `run/` in the state directory: who runs the gateway, a boot's sockets, and what a dead boot left behind.

`run/lock` is locked by the one living `start`; `run/current.json` tells other commands where its supervisor is;
`run/<boot>/` holds the sockets. Where `run/` itself lies is decided by `config.paths`. Imports nothing heavy: `health`
reads it too.
"""

from __future__ import annotations

__all__ = [
    "RunRecord",
    "StateLock",
    "clean_stale_boots",
    "is_stopping",
    "make_boot_dir",
    "mark_stopping",
    "process_start_ticks",
    "read_any_record",
    "read_record",
    "remove_boot_dir",
    "remove_record",
    "socket_holders",
    "write_record",
]

import errno
import fcntl
import os
import shutil
import signal
import stat
import time
from pathlib import Path

import msgspec

from openclaw_actors.errors import AlreadyRunning, StateDirError

RECORD_NAME = "current.json"
LOCK_NAME = "lock"
ORPHANS_END_WITHIN_S = 5.0
_RECORD_BYTES = 2_048
"""Every record takes as much, so that on a full disk the next one fits where the last one stands."""
_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)
_POLL_S = 0.02


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What `run/current.json` says of the running gateway."""

    boot: str
    pid: int
    """Of the process of `start`."""
    started_ticks: int
    """When that process started, as the kernel counts: tells it from a later one with the same pid."""
    run_dir: str
    state: str
    """`starting`, `ready`, `restarting` or `stopping`."""
    supervisor: str = ""
    """The supervisor's address; empty while there is none."""
    ws: str = ""
    """HOST:PORT of the WebSocket channel."""
    http: str = ""
    certificate: str = ""
    """The file of the certificate that both channels show; empty where they speak plain HTTP."""
    version: str = ""
    """Of the program."""
    managed: bool = False
    """A service manager has started it, and is told of its life."""


class StateLock:
    """The lock on a state directory. The kernel frees it with the process that holds it."""

    def __init__(self, run: Path) -> None:
        self._path = run / LOCK_NAME
        self._fd = -1

    def acquire(self) -> None:
        """Take the lock, without waiting.

        Raises:
            AlreadyRunning: another process holds it.
        """
        while self._fd < 0:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_still_the_file(fd):
                    self._fd = fd
            except BlockingIOError:
                raise AlreadyRunning(self._path.parent) from None
            finally:
                if self._fd != fd:
                    os.close(fd)

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        return self._fd >= 0

    def keep(self) -> None:
        """Take it again if somebody removed its file: whoever locks a new one would think that nobody runs.

        Raises:
            AlreadyRunning: another process was quicker.
        """
        if self._fd >= 0 and not self._is_still_the_file(self._fd):
            os.close(self._fd)
            self._fd = -1
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self.acquire()

    def _is_still_the_file(self, fd: int) -> bool:
        """Whether the locked file is the one that others will open: its last owner may just have removed it."""
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self._path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Remove the lock's file and free the lock."""
        if self._fd >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1


# The record


def process_start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since the machine did; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None  # nobody's pid, or one of a user whose processes are hidden from us
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def write_record(run: Path, record: RunRecord) -> None:
    """Replace `run/current.json` in one step; on a full disk, overwrite the last one."""
    path = run / RECORD_NAME
    temporary = path.with_name(f".{RECORD_NAME}.{os.getpid()}")
    data = msgspec.json.encode(record).ljust(_RECORD_BYTES)
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno not in _DISK_IS_FULL or not path.exists():
            raise
        _overwrite(path, data)


def _overwrite(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(fd, data, 0)
    finally:
        os.close(fd)


def read_record(run: Path) -> RunRecord | None:
    """What runs on a state directory; None if nothing does, a dead process' record included.

    Raises:
        StateDirError: the directory is not ours to read.
    """
    record = read_any_record(run)
    if record is None or process_start_ticks(record.pid) != record.started_ticks:
        return None
    return record


def read_any_record(run: Path) -> RunRecord | None:
    """What `run/current.json` says, whether that process lives or not; None if it says nothing."""
    try:
        data = (run / RECORD_NAME).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StateDirError(f"cannot read {run}: {error.strerror}") from None
    try:
        return msgspec.json.decode(data, type=RunRecord)
    except msgspec.MsgspecError:
        return None  # a torn or foreign file says nothing about a running gateway


def remove_record(run: Path) -> None:
    """Remove `run/current.json`."""
    (run / RECORD_NAME).unlink(missing_ok=True)


# The directories of boots


def make_boot_dir(run: Path, boot: str) -> Path:
    """Create the directory for the sockets of one boot, mode 0700.

    Raises:
        StateDirError: it cannot be made, or is there already.
    """
    run_dir = run / boot
    try:
        run_dir.mkdir(mode=0o700)
    except OSError as error:
        raise StateDirError(f"cannot make the directory {run_dir}: {error.strerror}") from None
    return run_dir


def mark_stopping(run_dir: Path) -> None:
    """Note that this boot ends on purpose: its end is no accident, and nothing is built anew after it.

    The note is the sticky bit of the directory: unlike a file it needs no room, and a stop must hold on a full disk.

    Raises:
        OSError: it cannot be noted.
    """
    run_dir.chmod(0o700 | stat.S_ISVTX)


def is_stopping(run_dir: Path) -> bool:
    """Whether this boot was told to end."""
    try:
        return bool(run_dir.stat().st_mode & stat.S_ISVTX)
    except OSError:
        return False


def remove_boot_dir(run_dir: Path) -> None:
    """Remove a boot's directory with its sockets, as far as it is there."""
    shutil.rmtree(run_dir, ignore_errors=True)


def clean_stale_boots(run: Path) -> None:
    """End and remove what a dead `start` left behind. Only for the holder of the lock.

    Its processes end by themselves with their parents; those that have not after a while are killed.

    Raises:
        StateDirError: some do not even end then.
    """
    for path in list(run.iterdir()):
        if path.is_dir() and not path.is_symlink():
            _end_orphans(path)
            remove_boot_dir(path)
    for leftover in run.glob(f".{RECORD_NAME}.*"):
        leftover.unlink(missing_ok=True)
    remove_record(run)


def _end_orphans(run_dir: Path) -> None:
    """Wait until no process holds a socket of this directory; kill those that hold one for too long."""
    deadline = time.monotonic() + ORPHANS_END_WITHIN_S
    while holders := socket_holders(run_dir):
        if time.monotonic() > deadline - ORPHANS_END_WITHIN_S / 2:
            for pid in holders:
                _kill(pid)
        if time.monotonic() > deadline:
            raise StateDirError(f"processes of a dead gateway do not end: {sorted(holders)}")
        time.sleep(_POLL_S)


def socket_holders(run_dir: Path) -> set[int]:
    """The processes of this user that have a socket open whose name lies in the directory."""
    prefix = f"{run_dir}/"
    inodes = set()
    for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:]:
        fields = line.split(None, 7)
        if len(fields) == 8 and fields[7].startswith(prefix):
            inodes.add(f"socket:[{fields[6]}]")
    if not inodes:
        return set()
    pids = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return {pid for pid in pids if pid != os.getpid() and _holds_any(pid, inodes)}


def _holds_any(pid: int, inodes: set[str]) -> bool:
    directory = f"/proc/{pid}/fd"
    try:
        names = os.listdir(directory)
    except OSError:
        return False  # ended meanwhile, or another user's
    return any(_target(f"{directory}/{name}") in inodes for name in names)


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""  # this one was closed meanwhile; the others still count


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended by itself
