"""Owns the store's settings and what it counts."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from openclaw_actors.core.metrics import METRICS
from openclaw_actors.core.series import Histogram, Tally, series
from openclaw_actors.core.turn_meter import TurnMeter

__all__ = ["Counters", "StoreOptions"]


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """How the store behaves; the configuration's section `memory`.

    Args:
        path: the store's directory.
        window_turns: how many ended turns a state keeps for the model.
        cached_sessions, cached_bytes: what of clean, unused states stays in memory.
        fsync: wait for the disk before anything is acknowledged.
        write_attempts, write_backoff_s: per append; the back-off doubles.
        patient_backoff_s: longest wait between attempts for what is kept in memory.
        snapshot_every_records, snapshot_every_bytes: a snapshot is at most this far behind its journal.
        max_record_bytes: of one record.
        max_kept_bytes: of everything that waits in memory for a disk that fails; beyond it, appends are refused.
        lock_timeout_s: how long to wait for the store's previous owner.
        counts: where is counted what happens in the store; nobody else's while it is open.
        model: what answers where a conversation wants nothing else, for the usage ledger.
    """

    path: Path
    window_turns: int = 50
    cached_sessions: int = 256
    cached_bytes: int = 67_108_864
    fsync: bool = True
    write_attempts: int = 3
    write_backoff_s: float = 0.1
    patient_backoff_s: float = 5.0
    snapshot_every_records: int = 256
    snapshot_every_bytes: int = 1_000_000
    max_record_bytes: int = 33_554_432
    max_kept_bytes: int = 268_435_456
    lock_timeout_s: float = 10.0
    model: str = ""
    counts: MutableMapping[str, float] | None = field(default=None, compare=False)


class _Count:
    """One number of `Counters`, which stands in its `values`."""

    def __init__(self, name: str, **labels: str) -> None:
        self._series = series(name, **labels)

    def begin(self, counters: Counters) -> None:
        """Has the number stand there, be it as 0."""
        counters.values[self._series] += 0.0

    def __get__(self, counters: Counters, owner: object = None) -> float:
        return counters.values[self._series]

    def __set__(self, counters: Counters, value: float) -> None:
        counters.values[self._series] = value


class Counters:
    """What happened in the store.

    Args:
        values: where it is counted; it may hold what earlier owners of the store have counted.
    """

    written = _Count("persistence_records_total")
    """Records that reached the disk."""
    succeeded = _Count("persistence_writes_total", result="ok")
    """Write attempts, of one session each."""
    failed = _Count("persistence_writes_total", result="failed")
    retries = _Count("persistence_retries_total")
    exhausted = _Count("persistence_exhausted_total")
    """Appends that failed in every attempt."""
    snapshots = _Count("persistence_snapshots_total")
    snapshots_failed = _Count("persistence_snapshots_failed_total")
    loads = _Count("persistence_loads_total")
    torn = _Count("persistence_torn_total")
    quarantined = _Count("persistence_quarantined_total")
    migrated = _Count("persistence_migrated_total")

    began: int = 0
    """Conversations that had their first record."""

    def __init__(self, values: MutableMapping[str, float] | None = None) -> None:
        self.values = Tally() if values is None else values
        # Threads count, too; only the loop's may begin a series.
        for count in vars(Counters).values():
            if isinstance(count, _Count):
                count.begin(self)
        self.turns = TurnMeter(self.values)
        bounds = next(metric.bounds for metric in METRICS if metric.name == "persistence_write_seconds")
        self.commits = Histogram(self.values, "persistence_write_seconds", bounds)
        """How long each commit took."""
