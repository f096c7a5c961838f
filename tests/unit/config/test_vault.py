"""The vault: what it gives back, that nobody can change it, and that nothing else is taken for one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_actors.config.vault import VaultUnusable, fill_vault, read_head, read_secret, vault_path

SECRETS = {"env:A": "hünter2", "env:B": "x" * 65_536, "raw:c": "3"}


@pytest.fixture
def vault() -> Iterator[int]:
    fd = fill_vault(SECRETS, b'{"pid":1}')
    yield fd
    os.close(fd)


def test_it_gives_back_what_was_put_in(vault: int) -> None:
    assert vault >= 10
    assert read_head(vault) == b'{"pid":1}'
    assert {name: read_secret(vault_path(vault), name) for name in SECRETS} == SECRETS
    with pytest.raises(VaultUnusable, match="does not have it"):
        read_secret(vault_path(vault), "env:C")


def test_another_process_reads_it_by_its_path_and_an_executed_one_by_its_descriptor(vault: int) -> None:
    script = (
        "import sys; from openclaw_actors.config.vault import read_head, read_secret;"
        "assert read_secret(sys.argv[1], 'raw:c') == '3'; print(read_head(int(sys.argv[2])).decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, vault_path(vault), str(vault)],
        pass_fds=[vault],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == '{"pid":1}\n'
    assert os.get_inheritable(vault)


def test_nobody_can_change_it(vault: int) -> None:
    assert os.fstat(vault).st_mode & 0o777 == 0o400
    for change in (
        lambda: os.pwrite(vault, b"x", 0),
        lambda: os.ftruncate(vault, 10),
        lambda: os.ftruncate(vault, 1_000_000),
    ):
        with pytest.raises(PermissionError):
            change()


def sealed(data: bytes, seals: int) -> int:
    import fcntl

    fd = os.memfd_create("t", os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


ALL_SEALS = 0x000F
MAGIC = b"openclaw-actors vault 1\n"


@pytest.mark.parametrize(
    ("data", "seals", "reason"),
    [
        (MAGIC, 0, "sealed file of this user"),
        (MAGIC, 0x0007, "sealed file of this user"),
        (b"", ALL_SEALS, "is damaged"),
        (b"something that is quite another thing", ALL_SEALS, "is no vault"),
        (MAGIC, ALL_SEALS, "is damaged"),
        (MAGIC + b"\xff" * 8, ALL_SEALS, "is damaged"),
        (MAGIC + b"\0" * 7 + b"\x02{]", ALL_SEALS, "is damaged"),
    ],
)
def test_what_is_no_vault_is_not_taken_for_one(data: bytes, seals: int, reason: str) -> None:
    fd = sealed(data, seals)
    try:
        for read in (lambda: read_head(fd), lambda: read_secret(vault_path(fd), "env:A")):
            with pytest.raises(VaultUnusable, match=reason):
                read()
    finally:
        os.close(fd)


def test_neither_is_a_file_a_pipe_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(MAGIC)
    os.mkfifo(tmp_path / "p")
    for name in ("f", "p", "nothing"):
        with pytest.raises(VaultUnusable):
            read_secret(str(tmp_path / name), "env:A")
    with pytest.raises(VaultUnusable, match="not that of a sealed file"):
        read_head(999_999)
