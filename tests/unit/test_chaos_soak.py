"""What a soak counts of a state directory."""

from __future__ import annotations

import socket
from pathlib import Path

from chaos.soak import files_in


def test_old_logs_count_only_beyond_those_that_are_kept(tmp_path: Path) -> None:
    for name in ("gateway.log", "usage.jsonl", "a.json.7.tmp"):
        (tmp_path / name).touch()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        assert files_in(tmp_path) == 3

        kept = {"gateway.log": 5, "audit.jsonl": 5, "usage.jsonl": 9}
        for name, count in kept.items():
            for number in range(1, count + 1):
                (tmp_path / f"{name}.{number}").touch()
        assert files_in(tmp_path) == 3

        for name, count in kept.items():
            (tmp_path / f"{name}.{count + 1}").touch()
        assert files_in(tmp_path) == 6
