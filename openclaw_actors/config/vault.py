"""Owns the vault: a sealed file in the kernel's memory that holds the secrets, so that no process needs to.

`start` fills it, executes itself anew, and keeps nothing but its descriptor. Whoever needs a secret reads that one from
it, by a path below /proc; reading never brings another secret into the reader's memory.
"""

from __future__ import annotations

__all__ = ["VaultUnusable", "fill_vault", "read_head", "read_secret", "vault_path"]

import fcntl
import os
from collections.abc import Mapping

import msgspec

_MAGIC = b"openclaw-actors vault 1\n"
_NAME = "openclaw-actors-vault"
_LENGTH_BYTES = 8
_MAX_BYTES = 64 * 1024 * 1024
_LEAST_FD = 10  # 0 to 2 may be closed, and 3 to 9 are what shell scripts redirect
_MFD_NOEXEC_SEAL = 0x0008  # Linux 6.3; without it newer kernels grumble, or refuse
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class VaultUnusable(Exception):
    """Raised when there is no vault where one should be; its text says why and holds nothing of its content."""


class _Index(msgspec.Struct, frozen=True):
    head: msgspec.Raw
    places: dict[str, tuple[int, int]]
    """Name of a secret -> where it begins after the index, and its length."""


def fill_vault(secrets: Mapping[str, str], head: bytes) -> int:
    """Make a vault that nobody can change any more, and that survives an exec.

    Args:
        secrets: name -> value.
        head: JSON that is read without touching a value.

    Returns:
        Its descriptor, which children that are executed inherit.

    Raises:
        OSError: the kernel gives no such file.
    """
    # As the environment has them: what is no UTF-8 in it must come out as it went in.
    values = [value.encode(errors="surrogateescape") for value in secrets.values()]
    places: dict[str, tuple[int, int]] = {}
    offset = 0
    for name, value in zip(secrets, values, strict=True):
        places[name] = (offset, len(value))
        offset += len(value)
    index = msgspec.json.encode(_Index(head=msgspec.Raw(head), places=places))
    made = _make_file()
    try:
        os.fchmod(made, 0o400)
        data = b"".join((_MAGIC, len(index).to_bytes(_LENGTH_BYTES, "big"), index, *values))
        while data:
            data = data[os.write(made, data) :]
        fcntl.fcntl(made, fcntl.F_ADD_SEALS, _SEALS)
        return fcntl.fcntl(made, fcntl.F_DUPFD, _LEAST_FD)
    finally:
        os.close(made)


def _make_file() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(_NAME, flags | _MFD_NOEXEC_SEAL)
    except OSError:
        return os.memfd_create(_NAME, flags)  # an older kernel does not know the flag


def vault_path(fd: int) -> str:
    """The path by which other processes of the same user open a vault that this process holds."""
    return f"/proc/{os.getpid()}/fd/{fd}"


def read_head(fd: int) -> bytes:
    """Read what stands before the secrets of a vault.

    Raises:
        VaultUnusable: the descriptor is none, or that of something else.
    """
    return bytes(_read_index(fd)[0].head)


def read_secret(path: str, name: str) -> str:
    """Read one secret.

    Args:
        path: of the vault, as `vault_path` gives it.
        name: of the secret.

    Raises:
        VaultUnusable: the vault cannot be read, or has no secret of this name.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise VaultUnusable(f"the vault of start cannot be read: {error.strerror}") from None
    try:
        index, begin = _read_index(fd)
        if name not in index.places:
            raise VaultUnusable("the vault of start does not have it")
        offset, length = index.places[name]
        return _read(fd, length, begin + offset).decode(errors="surrogateescape")
    finally:
        os.close(fd)


def _read_index(fd: int) -> tuple[_Index, int]:
    """Returns the index, and where the values begin."""
    try:
        # Only a file in memory has seals; a sealed one of somebody else's does not begin as ours do.
        sealed = fcntl.fcntl(fd, fcntl.F_GET_SEALS) & _SEALS == _SEALS
        owner = os.fstat(fd).st_uid
    except OSError:
        raise VaultUnusable("the descriptor is not that of a sealed file in memory") from None
    if not sealed or owner != os.geteuid():
        raise VaultUnusable("the descriptor is not that of a sealed file of this user")
    start = len(_MAGIC) + _LENGTH_BYTES
    try:
        if _read(fd, len(_MAGIC), 0) != _MAGIC:
            raise VaultUnusable("the file in memory is no vault")
        length = int.from_bytes(_read(fd, _LENGTH_BYTES, len(_MAGIC)), "big")
        return msgspec.json.decode(_read(fd, length, start), type=_Index), start + length
    except (OSError, msgspec.MsgspecError):
        raise VaultUnusable("the vault is damaged") from None


def _read(fd: int, length: int, offset: int) -> bytes:
    if length > _MAX_BYTES:
        raise VaultUnusable("the vault is damaged")
    data = b""
    while len(data) < length:
        more = os.pread(fd, length - len(data), offset + len(data))
        if not more:
            raise VaultUnusable("the vault is damaged")
        data += more
    return data
