"""Runs the measurements and prints what was reached beside its target."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.growth import Curve
from benchmarks.processes import load_average, machine
from benchmarks.table import Row, as_json, markdown

_QUICK_RUNS = 3
_RUNS = 5


@dataclass
class Report:
    """What came out so far."""

    rows: list[Row] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)


Part = Callable[[Report, Path, bool], None]


def _actors(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001 - the signature of every part
    from benchmarks.actors import measure

    runs = _QUICK_RUNS if quick else _RUNS
    report.rows += measure(runs=runs, quick=quick, churn=500 if quick else 20_000)


def _latency(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.turns import measure_latency

    report.rows += measure_latency(
        directory, runs=_QUICK_RUNS if quick else _RUNS, turns=50 if quick else 300
    )


def _throughput(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.turns import measure_throughput

    rows, split = measure_throughput(
        directory, runs=_QUICK_RUNS if quick else _RUNS, seconds=3.0 if quick else 6.0
    )
    report.rows += rows
    report.details.append(f"Where the time goes, 100 sessions in parallel:\n\n{split}")


def _start(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.starting import measure_start

    report.rows += measure_start(
        directory, runs=_QUICK_RUNS if quick else _RUNS, stored=1_000 if quick else 10_000
    )


def _open(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.starting import measure_opening

    report.rows += measure_opening(
        directory, runs=_QUICK_RUNS if quick else _RUNS, turns=5_000 if quick else 50_000
    )


def _idle(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.starting import measure_idle

    report.rows += measure_idle(directory, runs=1 if quick else _RUNS, seconds=10.0 if quick else 20.0)


def _http(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.http import measure_http

    report.rows += measure_http(
        directory, runs=_QUICK_RUNS if quick else _RUNS, seconds=2.0 if quick else 4.0
    )


def _tools(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.tools import measure_tools

    rows, table = measure_tools(
        directory,
        turns=50 if quick else 300,
        runs=2 if quick else _RUNS,
        stops=2 if quick else 12,
    )
    report.rows += rows
    report.details.append(f"How long a stop takes:\n\n{table}")


def _backup(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.backup import measure_backup

    report.rows += measure_backup(
        directory, runs=_QUICK_RUNS if quick else _RUNS, stored=1_000 if quick else 10_000
    )


def _provider(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.provider import measure_provider

    report.rows += measure_provider(
        directory, runs=_QUICK_RUNS if quick else _RUNS, seconds=3.0 if quick else 6.0
    )


def _live(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.live import measure_live

    report.rows += measure_live(
        directory, runs=_QUICK_RUNS if quick else _RUNS, sessions=100 if quick else 1_000
    )


def _parts(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.parts import measure_parts

    report.details += measure_parts(directory, runs=1 if quick else _RUNS, seconds=3.0 if quick else 6.0)


def _scaling(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.growth import measure_scaling

    counts = (1, 10, 100) if quick else (1, 10, 100, 1_000)
    curves = measure_scaling(directory, counts=counts, seconds=3.0 if quick else 10.0)
    report.curves += curves
    report.details += [curve.markdown() for curve in curves]


def _growth(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.growth import measure_growth

    curves = measure_growth(directory, turns=50 if quick else 300, quick=quick)
    report.curves += curves
    report.details += [curve.markdown() for curve in curves]


def _reload(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.reloading import measure_reload

    report.rows += measure_reload(directory, reloads=10 if quick else 50)


def _upgrade(report: Report, directory: Path, quick: bool) -> None:  # noqa: FBT001
    from benchmarks.upgrading import measure_upgrade

    report.rows += measure_upgrade(directory, runs=_QUICK_RUNS if quick else _RUNS)


PARTS: dict[str, Part] = {
    "actors": _actors,
    "latency": _latency,
    "throughput": _throughput,
    "start": _start,
    "open": _open,
    "idle": _idle,
    "http": _http,
    "tools": _tools,
    "backup": _backup,
    "provider": _provider,
    "live": _live,
    "parts": _parts,
    "scaling": _scaling,
    "growth": _growth,
    "reload": _reload,
    "upgrade": _upgrade,
}


def main() -> int:
    """Returns 0 when every target was reached, 1 if one was missed, 130 when it was told to end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it ends its gateway
    try:
        return _measure(_arguments())
    except KeyboardInterrupt:
        return 130


def _measure(arguments: argparse.Namespace) -> int:
    report = Report()
    began = time.monotonic()
    busy = load_average()
    for name in arguments.only or PARTS:
        _tell(f"{name} …")
        directory = Path(tempfile.mkdtemp(prefix=f"openclaw-bench-{name}-"))
        try:
            PARTS[name](report, directory, arguments.quick)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    head = (
        f"{machine()}; {datetime.now(UTC):%Y-%m-%d}; load before {busy:.2f}; "
        f"{time.monotonic() - began:.0f} s{'; quick' if arguments.quick else ''}"
    )
    sys.stdout.write("\n\n".join([head, markdown(report.rows), *report.details]) + "\n")
    if arguments.json:
        document: dict[str, Any] = {
            "about": head,
            "rows": as_json(report.rows),
            "details": report.details,
            "curves": [asdict(curve) for curve in report.curves],
        }
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    if arguments.plots:
        from benchmarks.plots import PlotsMissing, draw

        try:
            for path in draw(report.curves, arguments.plots):
                _tell(f"drew {path}")
        except PlotsMissing as error:
            _tell(str(error))
            return 2
    return any(row.reached is False for row in report.rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=PARTS,
        metavar="NAME",
        help=f"one part: {', '.join(PARTS)}; repeatable",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument(
        "--plots", type=Path, metavar="DIR", help="draw the parts scaling and growth there, as PNG"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, smaller stores")
    return parser.parse_args()


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
