"""Skills are found where they belong, gated by what they need, and read on demand, never from elsewhere."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.agent.skills import shelf as shelf_module
from openclaw_actors.agent.skills.gating import missing
from openclaw_actors.agent.skills.manifest import InvalidSkill, Manifest, read_manifest
from openclaw_actors.agent.skills.shelf import BUNDLED, NoSuchSkill, SkillShelf
from openclaw_actors.config import GatewayConfig
from openclaw_actors.config.features import SkillEntry, SkillsConfig, SkillsLoadConfig

__all__: list[str] = []


def write(
    place: Path, name: str, *, description: str = "what it does", body: str = "Do it.", extra: str = ""
) -> Path:
    directory = place / name
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "SKILL.md"
    path.write_text(f'---\nname: {name}\ndescription: "{description}"\n{extra}---\n\n{body}\n')
    return path


class Places:
    """Four places for skills, and a clock."""

    def __init__(self, root: Path) -> None:
        self.extra, self.bundled = root / "extra", root / "bundled"
        self.home, self.workspace = root / "home", root / "workspace"
        self.user, self.own = self.home / ".openclaw" / "skills", self.workspace / "skills"
        for path in (self.extra, self.bundled, self.user, self.own):
            path.mkdir(parents=True)
        self.now = 0.0

    def shelf(self, environ: dict[str, str] | None = None, **skills: Any) -> SkillShelf:
        load = SkillsLoadConfig(extra_dirs=(str(self.extra),), watch=skills.pop("watch", True))
        config = GatewayConfig(workspace=str(self.workspace), skills=SkillsConfig(load=load, **skills))
        shelf = SkillShelf(
            config, environ=environ or {}, home=self.home, bundled=self.bundled, clock=lambda: self.now
        )
        shelf.refresh()
        return shelf


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


# Front matter


@pytest.mark.parametrize(
    ("front", "wanted"),
    [
        ("name: a", Manifest(name="a")),
        (
            'name: github\ndescription: "Use `gh`: issues"\nhomepage: https://github.com\nmetadata:\n  {\n'
            '    "openclaw":\n      {\n        "emoji": "X",\n        "requires": { "bins": ["gh"] },\n'
            '        "os": ["darwin", "linux"],\n'
            '        "install": [{ "id": "brew", "bins": ["gh"] },],\n      },\n  }',
            Manifest(
                name="github",
                description="Use `gh`: issues",
                homepage="https://github.com",
                emoji="X",
                bins=("gh",),
                os=("darwin", "linux"),
            ),
        ),
        (
            "name: n\nmetadata:\n  openclaw:\n    always: true\n    primaryEnv: KEY\n    skillKey: other\n"
            "    requires:\n      anyBins: [a, b]\n      env:\n        - KEY\n      config: browser.enabled",
            Manifest(
                name="n",
                always=True,
                primary_env="KEY",
                skill_key="other",
                any_bins=("a", "b"),
                env=("KEY",),
                config=("browser.enabled",),
            ),
        ),
        (
            'Name: task\nuser-invocable: false\ndisable-model-invocation: "true"\nmetadata: {"clawdbot":{"emoji":"T"}}',
            Manifest(name="task", user_invocable=False, model_invocable=False, emoji="T"),
        ),
        (
            'name: json\nmetadata: \'{"openclaw": {"requires": {"bins": ["jq"]}}}\'',
            Manifest(name="json", bins=("jq",)),
        ),
        (
            "name: folded\ndescription: >\n  one\n  two: three\nallowed-tools: Bash(x:*)\nlicense: MIT",
            Manifest(name="folded", description="one two: three"),
        ),
        # no YAML, but published
        (
            'name: loose\ndescription: Triggers: this and that\nmetadata: {"openclaw":\n  {"os": ["linux"]}}',
            Manifest(name="loose", description="Triggers: this and that", os=("linux",)),
        ),
        ("name: star\ndescription: **Star** does it", Manifest(name="star", description="**Star** does it")),
        ("name: 123\ndescription: no", Manifest(name="123", description="False")),
        ("name: n\nmetadata: {not json", Manifest(name="n")),
        ("name: n\nmetadata: [1, 2]", Manifest(name="n")),
    ],
)
def test_front_matter(front: str, wanted: Manifest) -> None:
    assert read_manifest(f"---\n{front}\n---\nbody") == wanted
    assert read_manifest("\ufeff---\r\n" + front.replace("\n", "\r\n") + "\r\n---\r\nbody") == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no front matter", "does not begin"),
        ("---\nname: a\n", "no end"),
        ("---\ndescription: b\n---\n", "its name"),
        (f"---\nname: {'x' * 101}\n---\n", "its name"),
        ("---\nname: a\nx: " + "y" * 70_000 + "\n---\n", "longer than"),
        ("---\nname: {a: b}\n---\n", "its name"),
        ("---\n" + "[" * 20_000 + "\n---\n", "its name"),
        ("---\nname: !!python/object/apply:os.system [id]\n---\n", None),
    ],
)
def test_what_is_no_skill(text: str, why: str | None) -> None:
    if why is None:  # no code runs; what is left is only text
        assert read_manifest(text).name == "!!python/object/apply:os.system [id]"
        return
    with pytest.raises(InvalidSkill, match=why):
        read_manifest(text)


# Gating


@pytest.mark.parametrize(
    ("manifest", "lacking"),
    [
        (Manifest(name="a"), ""),
        (Manifest(name="a", os=("darwin", "win32")), "it is for darwin, win32"),
        (Manifest(name="a", os=("linux",), bins=("sh",)), ""),
        (Manifest(name="a", bins=("sh", "no-such-program")), "it needs the programs no-such-program"),
        (Manifest(name="a", any_bins=("no-such-program", "sh")), ""),
        (Manifest(name="a", any_bins=("no-such-program",)), "it needs one of the programs no-such-program"),
        (Manifest(name="a", env=("SET",)), ""),
        (Manifest(name="a", env=("SET", "UNSET")), "it needs the variables UNSET"),
        (Manifest(name="keyed", env=("KEY", "MORE"), primary_env="KEY"), ""),
        (Manifest(name="b", skill_key="keyed", env=("KEY",), primary_env="KEY"), ""),
        (Manifest(name="a", config=("tooling.allowShell",)), "it needs the settings tooling.allowShell"),
        (Manifest(name="a", config=("skills.enabled", "tooling.parallel_tool_execution")), ""),
        (Manifest(name="a", config=("skills.entries.keyed.enabled",)), ""),
        (Manifest(name="a", config=("no.such.setting",)), "it needs the settings no.such.setting"),
        (Manifest(name="keyed", config=("deep.yes",)), ""),
        (Manifest(name="a", always=True, os=("darwin",), bins=("no-such-program",)), ""),
        (Manifest(name="off"), "it is switched off in skills.entries"),
        (Manifest(name="off", always=True), "it is switched off in skills.entries"),
    ],
)
def test_gating(manifest: Manifest, lacking: str) -> None:
    keyed = SkillEntry(api_key="env:X", env={"MORE": "1"}, config={"deep": {"yes": 1}})
    config = GatewayConfig(skills=SkillsConfig(entries={"keyed": keyed, "off": SkillEntry(enabled=False)}))
    assert missing(manifest, config, bundled=False, environ={"SET": "1", "UNSET": ""}) == lacking


def test_bundled_skills_can_be_chosen(places: Places) -> None:
    write(places.bundled, "one")
    write(places.bundled, "two")
    write(places.user, "three")
    listing = places.shelf(allow_bundled=("two",)).listing
    assert "<name>two</name>" in listing
    assert "<name>three</name>" in listing
    assert "<name>one</name>" not in listing


# The shelf


def test_of_two_with_one_name_the_later_place_wins(places: Places) -> None:
    for name, place in (
        ("extra", places.extra),
        ("bundled", places.bundled),
        ("user", places.user),
        ("own", places.own),
    ):
        write(place, "same" if name != "own" else "SAME", body=f"from {name}")
        assert places.shelf().read("Same") == f"from {name}"


def test_the_model_is_told_of_each_by_name_description_and_place(places: Places) -> None:
    path = write(places.own, "a", description="less < & more")
    write(places.own, "hidden", extra="disable-model-invocation: true\n")
    shelf = places.shelf()
    assert (
        "<available-skills>\n<skill><name>a</name><description>less &lt; &amp; more</description>"
        f"<location>{path}</location></skill>\n</available-skills>"
    ) in shelf.listing
    assert shelf.read("hidden") == "Do it."  # a person may ask for it
    assert "- hidden (workspace, only when asked for): what it does" in shelf.told()


def test_nothing_is_told_where_there_are_none(places: Places) -> None:
    shelf = places.shelf()
    assert shelf.listing == ""
    assert "There are no skills" in shelf.told()


def test_a_bad_one_is_left_out_with_one_warning(places: Places, caplog: pytest.LogCaptureFixture) -> None:
    write(places.own, "good")
    bad = places.own / "bad" / "SKILL.md"
    bad.parent.mkdir()
    bad.write_text("# no front matter")
    huge = places.own / "huge" / "SKILL.md"
    huge.parent.mkdir()
    huge.write_text("---\nname: huge\n---\n" + "x" * 300_000)
    (places.own / "pipe").mkdir()
    os.mkfifo(places.own / "pipe" / "SKILL.md")
    (places.own / "empty").mkdir()
    with caplog.at_level(logging.WARNING):
        shelf = places.shelf()
        for _ in range(3):
            places.now += 1
            shelf.refresh()
    assert sorted(record.getMessage().split(" is left out: ")[1] for record in caplog.records) == [
        "it does not begin with a line ---",
        "it is larger than 262144 bytes",
        "it is no regular file",
    ]
    assert shelf.listing.count("<skill>") == 1


def test_changes_are_seen_but_not_looked_for_all_the_time(places: Places) -> None:
    shelf = places.shelf()
    path = write(places.own, "a", description="first")
    assert not shelf.refresh(), "it was looked at just now"
    places.now += 1
    assert shelf.refresh()
    path.write_text(path.read_text().replace("first", "other"))
    places.now += 1
    assert shelf.refresh()
    assert "other" in shelf.listing
    path.unlink()
    places.now += 1
    assert shelf.refresh()
    assert shelf.listing == ""
    places.now += 1
    assert not shelf.refresh()


def test_where_nobody_watches_changes_are_seen_when_a_person_asks(places: Places) -> None:
    shelf = places.shelf(watch=False)
    write(places.own, "a")
    places.now += 100
    assert not shelf.refresh()
    assert "- a (workspace): what it does" in shelf.told()
    assert "<name>a</name>" in shelf.listing


def test_what_is_missing_is_said_to_the_person_and_to_the_model(places: Places) -> None:
    write(places.own, "a", extra='metadata: {"openclaw": {"requires": {"env": ["KEY"]}}}\n')
    shelf = places.shelf()
    assert "- a: it needs the variables KEY" in shelf.told()
    with pytest.raises(NoSuchSkill, match="it needs the variables KEY"):
        shelf.read("a")
    assert places.shelf({"KEY": "1"}).read("a") == "Do it."


def test_instructions_name_their_directory_and_other_files_can_be_read(places: Places) -> None:
    path = write(places.own, "a", body="Run {baseDir}/x.sh")
    (path.parent / "references").mkdir()
    (path.parent / "references" / "api.md").write_text("the api")
    shelf = places.shelf()
    assert shelf.read("a") == f"Run {path.parent}/x.sh"
    assert shelf.read("a", "references/api.md") == "the api"
    with pytest.raises(NoSuchSkill, match=r"nothing\.md of the skill 'a' cannot be read: No such file"):
        shelf.read("a", "nothing.md")


@pytest.mark.parametrize("file", ["../../secret", "/etc/passwd", "link", "linked/secret", "."])
def test_nothing_is_read_from_outside_of_a_skill(places: Places, file: str) -> None:
    (places.workspace / "secret").write_text("secret")
    directory = write(places.own, "a").parent
    (directory / "link").symlink_to(places.workspace / "secret")
    (directory / "linked").symlink_to(places.workspace)
    with pytest.raises(NoSuchSkill, match="cannot be read"):
        places.shelf().read("a", file)


def test_links_lead_out_of_the_users_places_but_not_of_the_workspace(places: Places, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "mine")
    (places.user / "mine").symlink_to(tmp_path / "elsewhere" / "mine")
    assert places.shelf().read("mine") == "Do it."
    (places.user / "mine").unlink()
    (places.own / "mine").symlink_to(tmp_path / "elsewhere" / "mine")
    shelf = places.shelf()
    assert shelf.listing == ""


def test_the_prompt_stays_bounded(places: Places) -> None:
    for number in range(250):
        write(places.own, f"s{number:03}", description="d" * 2_000)
    assert len(places.shelf().listing) < 21_000
    write(places.own, "s000", body="b" * 200_000)
    text = places.shelf().read("s000")
    assert len(text) < 101_000
    assert "cut here" in text


def test_programs_are_given_the_variables_of_the_skills_that_can_be_used(places: Places) -> None:
    write(places.own, "a")
    write(places.own, "b", extra='metadata: {"openclaw": {"requires": {"bins": ["no-such-program"]}}}\n')
    entries = {
        "a": SkillEntry(env={"A": "1"}),
        "b": SkillEntry(env={"B": "1"}),
        "c": SkillEntry(env={"C": "1"}),
    }
    assert places.shelf(entries=entries).environment() == {"A": "1"}


def test_the_bundled_skills_are_good_ones(places: Places) -> None:
    config = GatewayConfig(workspace=str(places.workspace))
    shelf = SkillShelf(config, environ={}, home=places.home)
    shelf.refresh()
    names = {path.parent.name for path in BUNDLED.glob("*/SKILL.md")}
    assert names == {"skill-writer", "workspace-notes"}
    for name in names:
        assert f"<name>{name}</name>" in shelf.listing
        assert len(shelf.read(name)) > 500


def test_a_user_without_a_home_has_the_other_skills(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container with any user id: no HOME, and no line in /etc/passwd."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    load = SkillsLoadConfig(extra_dirs=("~/more", str(places.extra)))
    write(places.extra, "extra-one")
    config = GatewayConfig(workspace=str(places.workspace), skills=SkillsConfig(load=load))
    shelf = SkillShelf(config, environ={})
    shelf.refresh()
    assert "<name>extra-one</name>" in shelf.listing


def test_bundled_skills_are_read_once_for_all_sessions_and_again_where_they_changed(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(places.bundled, "known", description="as it was")
    os.utime(path, (1.0, 1.0))
    monkeypatch.setattr(shelf_module, "_bundled", {})
    shelf_module.warm_up(places.bundled)
    with monkeypatch.context() as patched:
        patched.setattr(shelf_module, "read_manifest", lambda text: pytest.fail("it was read already"))
        assert "as it was" in places.shelf().listing
    write(places.bundled, "known", description="as it is")
    assert "as it is" in places.shelf().listing
