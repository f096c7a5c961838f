"""The scripts on machines where something is missing, and from wherever they are called; nothing is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = (
    "basename",
    "cat",
    "cut",
    "dirname",
    "flock",
    "grep",
    "mkdir",
    "readlink",
    "rm",
    "sh",
    "sha256sum",
    "tail",
)
NOBODY = 65534

# Stands in for a Python: answers what the scripts ask of it, and writes down what it was told to make or install.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) echo {version} ;;
    *'import venv'*) {venv} ;;
    *'import pip'*) [ -e "$0.pip" ] ;;
    '-m venv --clear '*)
        echo venv >>"$LOG"
        {make}
        mkdir -p "$4/bin"
        cat "$0" >"$4/bin/python"
        chmod +x "$4/bin/python"
        echo "VIRTUAL_ENV='$4'" >"$4/bin/activate"
        : >"$4/bin/python.pip"
        ;;
    '-m pip install '*)
        echo pip >>"$LOG"
        {pip}
        printf '#!/bin/sh\\nprintf "%%s|" "$PWD" "$@"\\n' >"${{0%/*}}/openclaw-actors"
        chmod +x "${{0%/*}}/openclaw-actors"
        ;;
    '-m pytest '*) printf '%s|' "$PWD" "$@" ;;
esac
"""


class Machine:
    """A clone, and a PATH on which there is no more than a test puts there."""

    def __init__(self, place: Path) -> None:
        self.clone = place / "a clone's directory"
        self.bin = place / "bin"
        self.elsewhere = place / "elsewhere"
        self.log = place / "log"
        for directory in (self.clone, self.bin, self.elsewhere):
            directory.mkdir()
        shutil.copytree(ROOT / "scripts", self.clone / "scripts")
        for name in ("setup.cfg", "pyproject.toml"):
            shutil.copy(ROOT / name, self.clone / name)
        for name in (*TOOLS, "chmod"):
            found = shutil.which(name)
            assert found is not None, name
            (self.bin / name).symlink_to(found)

    def python(
        self,
        name: str = "python3",
        *,
        version: str = "3.11",
        venv: str = "true",
        make: str = "",
        pip: str = "",
    ) -> None:
        """Put a Python there; `venv`, `make` and `pip` are what happens when it is asked for these."""
        path = self.bin / name
        path.write_text(FAKE_PYTHON.format(version=version, venv=venv, make=make, pip=pip))
        path.chmod(0o755)

    def start(self, script: str | Path, *arguments: str, user: int | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.clone / "scripts" / script, *arguments],
            env={"PATH": str(self.bin), "LOG": str(self.log)},
            cwd=self.elsewhere,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=user,
        )

    def run(self, script: str | Path, *arguments: str, user: int | None = None) -> tuple[int, str, str]:
        with self.start(script, *arguments, user=user) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    @property
    def steps(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def machine() -> Iterator[Machine]:
    # Not tmp_path: others than its owner must be able to enter it.
    place = Path(tempfile.mkdtemp(prefix="oca-"))
    place.chmod(0o755)
    yield Machine(place)
    shutil.rmtree(place)


def refused(machine: Machine, script: str = "run") -> str:
    """Run a script that must fail, and return the one line with which it says why."""
    code, out, err = machine.run(script)
    assert code == 1
    assert out == ""
    said = [line for line in err.splitlines() if "setting up .venv" not in line]
    assert len(said) == 1, err
    assert said[0].startswith("openclaw-actors: ")
    return said[0]


@pytest.mark.parametrize("script", ["run", "test", "bench"])
def test_without_python_the_line_says_what_to_install(machine: Machine, script: str) -> None:
    line = refused(machine, script)
    assert "Python 3.11 or later with venv is missing" in line
    assert "apt-get install python3 python3-venv" in line


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.10"])
def test_an_old_python_is_named(machine: Machine, version: str) -> None:
    machine.python(version=version)
    assert f"python3 is only {version}" in refused(machine)
    assert machine.steps == []


def test_a_python_without_venv_is_named_with_its_package(machine: Machine) -> None:
    machine.python(venv="false")
    assert "python3 has no venv; on Debian: apt-get install python3-venv" in refused(machine)
    machine.python("python3.13", version="3.13", venv="false")
    machine.python(version="3.9")
    assert "python3.13 has no venv; on Debian: apt-get install python3.13-venv" in refused(machine)


def test_a_python_that_will_do_is_found_behind_others_that_will_not(machine: Machine) -> None:
    machine.python("python3.13", version="3.13", venv="false")
    machine.python("python3.11")
    machine.python(version="3.9")
    assert machine.run("run", "status")[0] == 0


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.14"])
def test_a_new_enough_python_is_taken(machine: Machine, version: str) -> None:
    machine.python(version=version)
    assert machine.run("run", "status")[0] == 0


def test_an_environment_that_cannot_be_made_is_one_line(machine: Machine) -> None:
    machine.python(make="echo usage; echo 'Error: No space left' >&2; exit 1")
    assert refused(machine).endswith("Error: No space left")


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (
            "WARNING: Retrying: Temporary failure in name resolution\nERROR: No matching distribution found",
            "the package index cannot be reached",
        ),
        ("noise\nERROR: broken wheel\nnotice: a new pip", "ERROR: broken wheel"),
        ("Killed", "Killed"),
    ],
)
def test_a_failed_installation_is_one_line_and_is_tried_again(
    machine: Machine, printed: str, said: str
) -> None:
    machine.python(pip=f"printf '%s' \"{printed}\" >&2; exit 1")
    line = refused(machine)
    assert f"could not install the packages: {said}; the whole story is in" in line
    assert (machine.clone / ".venv" / "setup.log").read_text() == printed
    shutil.rmtree(machine.clone / ".venv")
    machine.python()
    assert machine.run("run", "status")[0] == 0


def test_without_flock_the_line_says_so(machine: Machine) -> None:
    machine.python()
    (machine.bin / "flock").unlink()
    assert "flock is missing" in refused(machine)


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user than the owner of the clone")
def test_a_clone_that_cannot_be_written_is_said_and_one_that_is_set_up_runs(machine: Machine) -> None:
    machine.python()
    code, _, err = machine.run("run", "status", user=NOBODY)
    assert code == 1
    assert err.count("\n") == 1
    assert f"cannot write in {machine.clone}" in err
    assert machine.run("run", "status")[0] == 0
    assert machine.run("run", "status", user=NOBODY)[0] == 0


def test_run_starts_the_gateway_or_the_command_where_it_was_called(machine: Machine) -> None:
    machine.python()
    here = str(machine.elsewhere)
    for given, passed in (
        ((), ["start"]),
        (("--demo",), ["start", "--demo"]),
        (("--help",), ["--help"]),
        (("send", "two words", "*"), ["send", "two words", "*"]),
    ):
        code, out, _ = machine.run("run", *given)
        assert code == 0
        assert out.split("|")[:-1] == [here, *passed]


def test_test_runs_pytest_alone_in_the_clone(machine: Machine) -> None:
    machine.python()
    code, out, _ = machine.run("test", "a b", "-x")
    assert code == 0
    assert out.split("|")[:-1] == [str(machine.clone), "-m", "pytest", "a b", "-x"]


def test_a_second_run_sets_nothing_up_and_is_quick(machine: Machine) -> None:
    machine.python()
    assert "setting up .venv, once" in machine.run("test", "x")[2]
    (machine.bin / "python3").unlink()
    began = time.monotonic()
    for script in ("test", "run"):
        code, _, err = machine.run(script, "status")
        assert (code, err) == (0, "")
    assert time.monotonic() - began < 30
    assert machine.steps == ["venv", "pip"]


def test_a_changed_requirement_or_a_moved_clone_is_set_up_again(machine: Machine) -> None:
    machine.python()
    machine.run("run", "status")
    with open(machine.clone / "setup.cfg", "a") as file:
        file.write("\n# changed\n")
    machine.run("run", "status")
    assert machine.steps == ["venv", "pip", "pip"]
    machine.clone = machine.clone.rename(machine.clone.with_name("moved"))
    assert machine.run("run", "status")[0] == 0
    assert machine.steps == ["venv", "pip", "pip", "venv", "pip"]


def test_first_runs_at_once_set_up_once(machine: Machine) -> None:
    machine.python()
    processes = [machine.start("run", "status") for _ in range(5)]
    for process in processes:
        with process:
            assert process.communicate(timeout=60)[0].endswith("|status|")
            assert process.returncode == 0
    assert machine.steps == ["venv", "pip"]


def test_a_link_to_a_script_may_stand_anywhere(machine: Machine) -> None:
    machine.python()
    (machine.bin / "openclaw").symlink_to(machine.clone / "scripts" / "run")
    (machine.elsewhere / "way").symlink_to(machine.clone)
    chained = machine.elsewhere / "chained"
    chained.symlink_to("../bin/openclaw")
    for path in (machine.bin / "openclaw", chained, machine.elsewhere / "way" / "scripts" / "run"):
        code, out, err = machine.run(path, "status")
        assert (code, out.split("|")[1]) == (0, "status"), err
    done = subprocess.run(
        ["sh", "run", "status"],
        cwd=machine.clone / "scripts",
        env={"PATH": str(machine.bin), "LOG": str(machine.log), "CDPATH": "/"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.endswith("|status|")
    assert machine.steps == ["venv", "pip"]


def test_standard_output_is_left_to_the_command(machine: Machine) -> None:
    machine.python(pip="echo noise; echo noise >&2", make="echo noise")
    assert machine.run("run", "status", "--json")[1].split("|")[1:-1] == ["status", "--json"]


def test_the_real_python_of_this_run_passes_the_same_questions(machine: Machine) -> None:
    """Of the machine's Python, not of the stand-in: the set-up goes as far as what needs the network."""
    real = Path(sys.executable).resolve()
    (machine.bin / "python3").write_text(
        f'#!/bin/sh\ncase "$*" in *venv*--clear*) echo reached >&2; exit 1 ;; esac\nexec "{real}" "$@"\n'
    )
    (machine.bin / "python3").chmod(0o755)
    assert refused(machine).endswith("reached")
