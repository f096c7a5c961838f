"""Measures many live sessions at once: how fast they come, what each takes, and how fast all of them are answered."""

from __future__ import annotations

__all__ = ["measure_live"]

from pathlib import Path

from benchmarks.clients import Load
from benchmarks.gateway import Gateway
from benchmarks.processes import available_bytes
from benchmarks.table import Row, median

_CLIENTS = 2
_MB = 1024 * 1024
_BYTES_A_SESSION = 16 * _MB
_MAX_PSS_MB = 4.0
_MAX_NEW_S = 15.0
_MAX_LIVE_S = 3.0
_SESSION = "SessionActor"


def measure_live(directory: Path, *, runs: int, sessions: int) -> list[Row]:
    """A message to each of so many new sessions, and then to each of them again. The targets are those of a thousand.

    Args:
        runs: messages to each live session.

    Raises:
        MemoryError: the machine has not enough of it free.
    """
    if available_bytes() < sessions * _BYTES_A_SESSION:
        raise MemoryError(
            f"{sessions} sessions may need {sessions * _BYTES_A_SESSION // _MB} MB of free memory"
        )
    config = {
        "sessions": {"max_live": sessions + 10},
        "llm": {"max_concurrent_calls": sessions, "max_waiting_calls": sessions},
        "websocket": {
            "max_connections": sessions + 10,
            "max_connections_per_ip": sessions + 10,
            "accept_timeout_seconds": _MAX_NEW_S * 2,
        },
    }
    with (
        Gateway(directory / "gateway", config) as gateway,
        Load(gateway.url, sessions=sessions, processes=_CLIENTS) as load,
    ):
        new_s = max(load.round({"turns": 1}).done_ms) / 1e3
        pss = [each / _MB for each in gateway.tree.pss_bytes_by_name(_SESSION)]
        live_s = [max(load.round({"turns": 1}).done_ms) / 1e3 for _ in range(runs)]
    share = sessions / 1_000
    return [
        Row(
            name=f"a first message to each of {sessions:,} new sessions, until the last is answered",
            value=new_s,
            unit="s",
            target=_MAX_NEW_S * share,
            digits=2,
            beside=f"{sessions / new_s:.0f} /s",
        ),
        Row(
            name=f"a message to each of {len(pss):,} live sessions, until the last is answered",
            value=median(live_s),
            unit="s",
            target=_MAX_LIVE_S * share,
            runs=live_s,
            digits=2,
            beside=f"{sessions / median(live_s):.0f} /s",
        ),
        Row(
            name=f"PSS of each of {len(pss):,} live sessions after a turn, mean",
            value=sum(pss) / len(pss),
            unit="MB",
            target=_MAX_PSS_MB,
            digits=2,
            beside=f"{min(pss):.1f} to {max(pss):.1f} MB",
        ),
    ]
