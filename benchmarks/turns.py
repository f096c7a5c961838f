"""Measures turns with the real gateway: how long one takes, how many are possible, and where the time goes."""

from __future__ import annotations

__all__ = ["measure_latency", "measure_throughput", "percentile"]

from pathlib import Path

from benchmarks.clients import BaselineServer, Load, Sync
from benchmarks.gateway import Gateway
from benchmarks.load import Round
from benchmarks.processes import Costs
from benchmarks.table import Row, median

_SESSIONS = 100
_CLIENTS = 2
_MAX_LATENCY_MS = 6.0
_MIN_TURNS_A_SECOND = 300.0
_MIN_SHARE_OF_BASELINE = 0.5


def measure_latency(directory: Path, *, runs: int, turns: int) -> list[Row]:
    """The time of a durable turn, one session alone, beside the baseline's.

    Args:
        runs: how many rounds, gateway and baseline in turn.
        turns: of each round.
    """
    ours: list[Round] = []
    theirs: list[Round] = []
    with (
        Gateway(directory / "gateway") as gateway,
        BaselineServer(directory / "baseline", "inline") as baseline,
        Load(gateway.url, sessions=1) as load,
        Load(baseline.url, sessions=1) as baseline_load,
    ):
        load.round({"turns": turns // 2})
        baseline_load.round({"turns": turns // 2})
        for _ in range(runs):
            ours.append(load.round({"turns": turns}))
            theirs.append(baseline_load.round({"turns": turns}))
    done = [median(each.done_ms) for each in ours]
    base = median([median(each.done_ms) for each in theirs])
    p99 = [percentile(each.done_ms, 0.99) for each in ours]
    accepted = [median(each.accepted_ms) for each in ours]
    beside = f"baseline {base:.2f} ms, {median(done) / base:.1f} : 1"
    return [
        Row(
            name="durable turn, one session, p50",
            value=median(done),
            unit="ms",
            target=_MAX_LATENCY_MS,
            runs=done,
            beside=beside,
            digits=2,
        ),
        Row(name="the same, p99", value=median(p99), unit="ms", runs=p99, digits=2),
        Row(name="until `message_accepted`, p50", value=median(accepted), unit="ms", runs=accepted, digits=2),
    ]


def measure_throughput(directory: Path, *, runs: int, seconds: float) -> tuple[list[Row], str]:
    """Durable turns a second with many sessions in parallel, in turn with the baseline, and where the time goes.

    Args:
        runs: how many rounds of each.
        seconds: of each round.

    Returns:
        The rows, and a table of processor time by process.
    """
    sync = _faster_sync(directory, seconds=min(2.0, seconds))
    ours: list[Round] = []
    theirs: list[Round] = []
    spent: list[Costs] = []
    with (
        Gateway(directory / "gateway") as gateway,
        BaselineServer(directory / "baseline", sync) as baseline,
        Load(gateway.url, sessions=_SESSIONS, processes=_CLIENTS) as load,
        Load(baseline.url, sessions=_SESSIONS, processes=_CLIENTS) as baseline_load,
    ):
        load.round({"turns": 5})  # forks the sessions
        baseline_load.round({"turns": 5})
        for _ in range(runs):
            before = gateway.tree.costs()
            ours.append(load.round({"seconds": seconds}))
            spent.append(gateway.tree.costs().since(before))
            theirs.append(baseline_load.round({"seconds": seconds}))
    rates = [each.turns / each.seconds for each in ours]
    base = [each.turns / each.seconds for each in theirs]
    shares = [rate / other for rate, other in zip(rates, base, strict=True)]
    client_s = [each.cpu_s / each.seconds for each in ours]
    rows = [
        Row(
            name=f"durable turns a second, {_SESSIONS} sessions in parallel",
            value=median(rates),
            unit="/s",
            target=_MIN_TURNS_A_SECOND,
            at_least=True,
            runs=rates,
            beside=f"load generator took {median(client_s):.2f} cores of the same machine",
        ),
        Row(
            name="the same as a share of the baseline",
            value=median(shares),
            unit="",
            target=_MIN_SHARE_OF_BASELINE,
            at_least=True,
            runs=shares,
            beside=f"baseline {median(base):.0f} /s, its fdatasync {'in a thread' if sync == 'thread' else sync}",
            digits=2,
        ),
    ]
    return rows, _where_time_goes(ours, theirs, spent)


def _faster_sync(directory: Path, *, seconds: float) -> Sync:
    """Which way of waiting for the disk serves the baseline better."""
    rates: dict[Sync, float] = {}
    for sync in ("inline", "thread"):
        with (
            BaselineServer(directory / f"baseline-{sync}", sync) as baseline,
            Load(baseline.url, sessions=_SESSIONS, processes=_CLIENTS) as load,
        ):
            load.round({"turns": 2})
            rates[sync] = load.round({"seconds": seconds}).turns / seconds
    return max(rates, key=rates.__getitem__)


def _where_time_goes(ours: list[Round], theirs: list[Round], spent: list[Costs]) -> str:
    """Processor time of a turn by process, as a Markdown table; medians of the rounds."""
    names = sorted({name for costs in spent for name in costs.seconds})
    turns = [len(each.done_ms) for each in ours]
    by_name = {
        name: median(
            [costs.seconds.get(name, 0.0) / count * 1e3 for costs, count in zip(spent, turns, strict=True)]
        )
        for name in names
    }
    counts = spent[-1].count
    client = median([each.cpu_s / len(each.done_ms) * 1e3 for each in ours])
    other_client = median([each.cpu_s / len(each.done_ms) * 1e3 for each in theirs])
    lines = ["| process | how many | ms of processor time a turn |", "|---|--:|--:|"]
    for name, value in sorted(by_name.items(), key=lambda item: -item[1]):
        lines.append(f"| {name} | {counts.get(name, 0)} | {value:.2f} |")
    lines.append(f"| **gateway together** | {sum(counts.values())} | **{sum(by_name.values()):.2f}** |")
    lines.append(f"| load generator (the baseline's: {other_client:.2f}) | {_CLIENTS} | {client:.2f} |")
    return "\n".join(lines)


def percentile(values: list[float], share: float) -> float:
    """The value that this share of the others does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * len(ordered)))]
