"""A seed is a campaign: the same faults in the same order, whatever the machine; and a log of one is one, too."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from chaos.faults import FAULTS, GROUPS, faults_named
from chaos.schedule import Step, drawn, read_log, written

WEIGHTS = {"cut": 8.0, "kill-session": 2.0, "clock-all": 1.0}


def first(count: int, seed: int) -> list[Step]:
    return list(itertools.islice(drawn(seed, WEIGHTS, 1.0), count))


def test_a_seed_makes_the_same_faults_again_and_another_seed_others() -> None:
    assert first(200, 7) == first(200, 7)
    assert first(200, 7) != first(200, 8)


def test_what_a_fault_uses_of_its_dice_changes_no_other_one() -> None:
    steps = drawn(7, WEIGHTS, 1.0)
    seen = []
    for step in itertools.islice(steps, 50):
        dice = random.Random(step.dice)
        for _ in range(dice.randrange(100)):
            dice.random()
        seen.append(step)
    assert seen == first(50, 7)


def test_faults_come_as_often_as_their_weights_and_the_pause_say() -> None:
    steps = first(4_000, 1)
    shares = {name: sum(step.fault == name for step in steps) / len(steps) for name in WEIGHTS}
    assert shares["cut"] == pytest.approx(8 / 11, abs=0.05)
    assert shares["clock-all"] == pytest.approx(1 / 11, abs=0.05)
    assert steps[-1].at_s == pytest.approx(4_000, rel=0.1)
    assert all(one.at_s <= other.at_s for one, other in itertools.pairwise(steps))


def test_a_log_is_read_as_it_was_written_with_lines_taken_out(tmp_path: Path) -> None:
    steps = first(20, 3)
    log = tmp_path / "faults.jsonl"
    log.write_text("".join(written(step) + "\n" for step in steps[::2]))
    assert read_log(log, WEIGHTS) == steps[::2]


@pytest.mark.parametrize(
    "line", ["nonsense", "[]", '{"at_s":1,"fault":"cut"}', '{"at_s":1,"fault":"unheard-of","dice":1}']
)
def test_a_line_that_is_none_is_named(line: str, tmp_path: Path) -> None:
    log = tmp_path / "faults.jsonl"
    log.write_text(written(first(1, 3)[0]) + "\n" + line + "\n")
    with pytest.raises(ValueError, match="line 2 of"):
        read_log(log, WEIGHTS)


def test_groups_name_the_faults_that_begin_so_and_a_bad_provider_and_disk_have_to_be_asked_for() -> None:
    for group in GROUPS:
        assert faults_named([group])
        assert all(name.startswith(f"{group}-") for name in faults_named([group]))
    plain = faults_named([])
    assert {name for name in FAULTS if name not in plain} == set(faults_named(["provider", "disk"]))
