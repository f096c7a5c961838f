"""Puts a gateway of its own under fire, and says whether it has kept its promises.

A seed makes a campaign again: the same faults in the same order, at about the same times. A slow machine comes less far
in the same time; the log of what came can be replayed, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from chaos.campaign import FAULT_LOG, Outcome, Plan, run
from chaos.crashes import run_crashes
from chaos.faults import FAULTS, GROUPS, faults_named
from chaos.schedule import read_log
from chaos.soak import Row, soak
from chaos.targets import BESIDE, measure

_MOST_SHOWN = 10
_ROUND_S = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 when every promise was kept, 1 if one was broken."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.store:
        return _store(options.seed, options.store, options.json)
    if options.targets:
        return _targets(options.targets, options.sessions, options.json, keep=options.keep)
    if options.soak:
        return _soak(options.seed, options.soak, options.sessions, options.json, keep=options.keep)
    try:
        steps = read_log(options.replay, FAULTS) if options.replay else []
    except (OSError, ValueError) as error:
        parser.error(f"--replay: {error}")
    plan = Plan(
        seed=options.seed,
        seconds=max([options.seconds, *(step.at_s for step in steps)]),
        sessions=options.sessions,
        faults=faults_named(options.only or ()),
        every_s=options.every,
        steps=steps,
    )
    directory = Path(tempfile.mkdtemp(prefix="oca-"))
    sys.stderr.write(f"seed {plan.seed}; the gateway's directory is {directory}\n")
    with (directory / "campaign.log").open("w") as log:

        def write(line: str) -> None:
            log.write(line + "\n")
            log.flush()
            sys.stderr.write(line + "\n")

        outcome = asyncio.run(run(plan, directory, write))
    if options.json:
        options.json.write_text(json.dumps(_document(plan, outcome), indent=2) + "\n")
    sys.stdout.write(_report(plan, outcome))
    if outcome.kept and not options.keep:
        shutil.rmtree(directory)
    else:
        sys.stdout.write(
            f"state, logs, campaign.log and {FAULT_LOG} are kept in {directory};\n"
            f"again: scripts/chaos --seed {plan.seed} --sessions {plan.sessions} --seconds {plan.seconds:g} "
            f"--replay {directory / FAULT_LOG}\n"
        )
    return 0 if outcome.kept else 1


def _store(seed: int, seconds: float, json_file: Path | None) -> int:
    """Takes the power away from the store alone."""
    sys.stderr.write(f"seed {seed}\n")
    found = run_crashes(seed, seconds=seconds)
    if json_file:
        json_file.write_text(json.dumps({"seed": seed, **asdict(found)}, indent=2) + "\n")
    sys.stdout.write(
        f"seed {seed}: {found.workloads} workloads of {found.operations} system calls that change files; the power "
        f"failed at {found.points} moments\nand left {found.states} different states of the disk, "
        f"{found.again} of them by failing again in the recovery\n\n"
        f"{'BROKEN' if found.problems else 'kept  '}  nothing that was confirmed is lost, nothing else is there\n"
    )
    for problem in found.problems:
        sys.stdout.write(f"          {problem}\n")
    return 1 if found.problems else 0


def _soak(seed: int, minutes: float, sessions: int, json_file: Path | None, *, keep: bool) -> int:
    """Has people come and go, and looks for what grows."""
    directory = Path(tempfile.mkdtemp(prefix="oca-"))
    sys.stderr.write(f"seed {seed}; the gateway's directory is {directory}\n")
    found = asyncio.run(
        soak(
            directory,
            minutes=minutes,
            sessions=sessions,
            seed=seed,
            log=lambda line: sys.stderr.write(line + "\n"),
        )
    )
    growing = [row for row in found.rows if row.grows]
    if json_file:
        document = asdict(found)
        document["rows"] = [{**asdict(row), "verdict": row.verdict} for row in found.rows]
        json_file.write_text(json.dumps({"seed": seed, **document}, indent=2) + "\n")
    lines = [
        f"{sessions} people came {found.visits} times in {found.seconds:.0f} s, of which the first third does "
        "not count;",
        f"between {found.fewest_live} and {found.most_live} conversations were awake; by its clock it was "
        f"{found.days} days",
        "",
        f"{'':<18} {'':<12} {'at first':>10} {'at last':>10} {'per hour':>10} {'':>3}{'95 %':<9}",
        *map(_row, found.rows),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    if growing or keep:
        sys.stdout.write(f"state and logs are kept in {directory}\n")
    else:
        shutil.rmtree(directory)
    return 1 if growing else 0


def _targets(rounds: int, sessions: int, json_file: Path | None, *, keep: bool) -> int:
    """Measures how soon and how little others notice."""
    directory = Path(tempfile.mkdtemp(prefix="oca-"))
    load = os.getloadavg()[0]
    found = asyncio.run(
        measure(
            directory,
            rounds=rounds,
            sessions=sessions,
            seconds=_ROUND_S,
            log=lambda line: sys.stderr.write(line + "\n"),
        )
    )
    if json_file:
        json_file.write_text(json.dumps({"load": load, **asdict(found)}, indent=2) + "\n")
    lines = [f"{rounds} rounds, {sessions} other conversations, load {load:.1f} before", ""]
    for beside in found.beside:
        inside, outside = median(beside.inside_s) * 1e3, median(beside.outside_s) * 1e3
        lines.append(
            f"{_verdict(beside.reached)}  a session {beside.what}: p95 of the others {inside:.0f} ms, beside a hog "
            f"outside {outside:.0f} ms, {beside.ratio:.2f} : 1 (at most {BESIDE:g})"
        )
    for deaths in found.deaths:
        lines.append(
            f"{_verdict(deaths.reached)}  {deaths.who} died: messages are taken again after "
            f"{median(deaths.seconds):.2f} s, at most {max(deaths.seconds):.2f} s (within {deaths.target_s:g})"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    if keep:
        sys.stdout.write(f"state and logs are kept in {directory}\n")
    else:
        shutil.rmtree(directory)
    return 0 if found.reached else 1


def _verdict(reached: bool) -> str:  # noqa: FBT001 - it is what is shown
    return "reached" if reached else "MISSED "


def _row(row: Row) -> str:
    slope = row.slope
    unit, name = (2**20, " MB") if row.what == "memory" else (1, "")
    return (
        f"{row.who:<18} {row.what:<12} {slope.first / unit:>7.2f}{name:<3} {slope.last / unit:>7.2f}{name:<3} "
        f"{slope.per_hour / unit:>+10.2f} ± {slope.margin / unit:<9.2f} {row.verdict}"
    )


def _report(plan: Plan, outcome: Outcome) -> str:
    lines = [
        f"seed {plan.seed}: {plan.sessions} conversations for {plan.seconds:g} s, "
        f"{outcome.faults.total()} faults, {outcome.starts} starts, {outcome.connections} connections",
        f"{outcome.said} messages were said, {outcome.accepted} accepted, {outcome.answered} answered; "
        f"the longest from receipt to answer took {outcome.slowest_s:.1f} s "
        "where no fault was asked for",
        "",
    ]
    for promise in outcome.promises:
        lines.append(f"{'kept  ' if promise.kept else 'BROKEN'}  {promise.name}")
        lines += [f"          {each}" for each in promise.broken[:_MOST_SHOWN]]
        if len(promise.broken) > _MOST_SHOWN:
            lines.append(f"          and {len(promise.broken) - _MOST_SHOWN} more")
    if outcome.given_up:
        lines.append(
            f"        {outcome.given_up} given up, with a word: their conversation's process was ended twice"
        )
    lines += ["", ", ".join(f"{count} {name}" for name, count in outcome.counts.items())]
    return "\n".join(lines) + "\n"


def _document(plan: Plan, outcome: Outcome) -> dict[str, object]:
    return {
        "seed": plan.seed,
        "seconds": plan.seconds,
        "sessions": plan.sessions,
        "faults": dict(outcome.faults),
        "said": outcome.said,
        "accepted": outcome.accepted,
        "answered": outcome.answered,
        "given_up": outcome.given_up,
        "broken": outcome.counts,
        "connections": outcome.connections,
        "starts": outcome.starts,
        "slowest_seconds": round(outcome.slowest_s, 3),
        "promises": [
            {"name": each.name, "kept": each.kept, "broken": list(each.broken)} for each in outcome.promises
        ],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="the faults of this log, faults.jsonl of another campaign"
    )
    parser.add_argument("--seconds", type=_positive, default=60.0, help="how long faults befall it (60)")
    parser.add_argument("--sessions", type=int, default=20, help="conversations at once (20)")
    parser.add_argument("--every", type=_positive, default=1.0, help="mean seconds between two faults (1)")
    parser.add_argument(
        "--only",
        action="append",
        choices=(*FAULTS, *GROUPS),
        metavar="FAULT",
        help=f"one of {', '.join((*GROUPS, *FAULTS))}",
    )
    parser.add_argument(
        "--soak",
        type=_positive,
        metavar="MINUTES",
        help="do no harm; have people come, fall asleep and return, and look for what grows",
    )
    parser.add_argument(
        "--store",
        type=_positive,
        metavar="SECONDS",
        help="take the power away from the store instead, at every moment of as many workloads as fit into the time",
    )
    parser.add_argument(
        "--targets",
        type=int,
        metavar="ROUNDS",
        help="measure instead how soon after a death messages are taken again, and how slow others get",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcome there, too")
    parser.add_argument("--keep", action="store_true", help="keep the directory, whatever the verdict")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and below 1,000,000")
    return value


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends a campaign ends its gateway
    sys.exit(main())
