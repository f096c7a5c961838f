"""Owns the store's settings and what it counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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


@dataclass
class Counters:
    """What happened since the store was opened."""

    written: int = 0
    """Records that reached the disk."""
    commits: int = 0
    failed: int = 0
    """Write attempts, of one session each."""
    retries: int = 0
    exhausted: int = 0
    """Appends that failed in every attempt."""
    write_seconds: float = 0.0
    """Duration of all commits."""
    snapshots: int = 0
    snapshots_failed: int = 0
    loads: int = 0
    torn: int = 0
    quarantined: int = 0
    migrated: int = 0
