"""Owns the skills of one session: where they stand, which of them hold, and what the model is told of them.

Only descriptions are held; instructions are read when they are asked for. Looking for changes costs one look at each
directory and each `SKILL.md`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from openclaw_actors.agent.inside import Stamp, is_settled, read_inside, stamp_of
from openclaw_actors.agent.skills.gating import entry_of, missing
from openclaw_actors.agent.skills.manifest import InvalidSkill, Manifest, read_manifest, split_front_matter
from openclaw_actors.config import GatewayConfig

__all__ = ["BUNDLED", "NoSuchSkill", "Skill", "SkillShelf", "warm_up"]

logger = logging.getLogger(__name__)

BUNDLED = Path(__file__).parents[2] / "skills"
_FILE = "SKILL.md"
_MAX_FILE_BYTES = 262_144
_MAX_SKILLS_A_PLACE = 200
_MAX_LISTING_CHARS = 20_000
_MAX_READ_CHARS = 100_000
_CUT = "\n[cut here: the text has {chars} characters]"
_INTRODUCTION = (
    "Skills are instructions for particular tasks. Where one fits what is asked, read it with the tool `skill` before "
    'you begin. A message that begins with "/skill NAME" asks for that one, also if it does not stand here.'
)
_NONE = "There are no skills. They belong into {workspace}, one directory each, with a SKILL.md in it."


class NoSuchSkill(LookupError):
    """Raised for a skill, or a file of one, that cannot be given; the text says why."""


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill."""

    manifest: Manifest
    directory: Path
    place: str
    """`extra`, `bundled`, `user` or `workspace`."""
    missing: str
    """What stands in the way of using it; empty: nothing."""


@dataclass(slots=True)
class _Place:
    name: str
    path: Path
    inside: Path | None = None
    """Where its files have to be, wherever links lead; None: where each skill's directory leads."""
    stamp: Stamp | None = None
    known: bool = False
    children: tuple[tuple[Path, str], ...] = ()
    """Directories, and the paths of their `SKILL.md`."""


@dataclass(slots=True)
class _Found:
    stamp: Stamp | None
    settled: bool
    manifest: Manifest | None


_bundled: dict[str, _Found] = {}
"""What bundled skills say, by path: read once, before sessions are forked."""


def warm_up(bundled: Path = BUNDLED) -> None:
    """Read the bundled skills, so that no process that is forked from this one has to parse them."""
    place = _Place("bundled", bundled)
    with contextlib.suppress(OSError):
        for directory, path in _directories_in(place.path):
            if path in _bundled:
                continue
            with contextlib.suppress(OSError, InvalidSkill):
                _bundled[path] = _read(path, Path(os.path.realpath(directory)))


def _read(path: str, inside: Path) -> _Found:
    """Raises OSError, InvalidSkill."""
    stamp = stamp_of(path)
    manifest = None
    if stamp is not None:
        data, size = read_inside(path, inside, _MAX_FILE_BYTES)
        if size > _MAX_FILE_BYTES:
            raise InvalidSkill(f"it is larger than {_MAX_FILE_BYTES} bytes")
        manifest = read_manifest(data.decode("utf-8-sig", "replace"))
    return _Found(stamp, stamp is None or is_settled(stamp), manifest)


def _at_home(text: str) -> Path:
    """A path with its `~` filled in; as it stands where this user has no home, as in a container, and so not there."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


class SkillShelf:
    """The skills of one session; later places win: extra directories, bundled ones, the user's own, the workspace's.

    Args:
        home: the user's home directory; skills are looked for in `.openclaw/skills` there.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        config: GatewayConfig,
        *,
        environ: Mapping[str, str] = os.environ,
        home: Path | None = None,
        bundled: Path = BUNDLED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.listing = ""
        """For the prompt; empty where there are none."""
        self._config = config
        self._environ = environ
        self._clock = clock
        home = home or _at_home("~")
        workspace = Path(config.workspace)
        self._own = workspace / "skills"
        self._places = [
            *(_Place("extra", _at_home(each)) for each in config.skills.load.extra_dirs),
            _Place("bundled", bundled),
            _Place("user", home / ".openclaw" / "skills"),
            _Place("workspace", self._own, inside=workspace),
        ]
        self._found: dict[str, _Found] = {}
        self._skills: dict[str, Skill] = {}
        self._looked_at: float | None = None

    def refresh(self, *, force: bool = False) -> bool:
        """Takes in what has changed on the disk; returns whether anything has.

        Args:
            force: look in any case; otherwise the first time, and then as `skills.load` says.
        """
        load, now = self._config.skills.load, self._clock()
        first = self._looked_at is None
        if self._looked_at is not None and not force:
            too_soon = now - self._looked_at < load.watch_debounce_ms / 1000
            if too_soon or not load.watch:
                return False
        self._looked_at = now
        changed = [self._look(place) for place in self._places if first or force or place.name != "bundled"]
        if not any(changed) and not force:
            return False
        before = self.listing
        self._skills = self._chosen()
        self.listing = self._listed()
        return self.listing != before

    def read(self, name: str, file: str = "") -> str:
        """The instructions of a skill, or another text file of its directory.

        Raises:
            NoSuchSkill: there is none, it cannot be used, or the file cannot be read.
        """
        skill = self._skills.get(name.strip().casefold())
        usable = [each.manifest.name for each in self._usable()]
        if (
            skill is None
            or skill.missing
            or not (skill.manifest.user_invocable or skill.manifest.model_invocable)
        ):
            because = f": {skill.missing}" if skill is not None and skill.missing else ""
            raise NoSuchSkill(
                f"the skill {name!r} cannot be used{because}. There are: {', '.join(usable) or 'none'}"
            )
        path = skill.directory / (file or _FILE)
        try:
            data, _ = read_inside(path, self._root_of(skill), _MAX_FILE_BYTES)
            text = data.decode("utf-8-sig", "replace")
            body = text if file else split_front_matter(text)[1]
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise NoSuchSkill(f"{file or _FILE} of the skill {name!r} cannot be read: {reason}") from None
        body = body.replace("{baseDir}", str(skill.directory))
        return body if len(body) <= _MAX_READ_CHARS else body[:_MAX_READ_CHARS] + _CUT.format(chars=len(body))

    def environment(self) -> dict[str, str]:
        """What `skills.entries` gives to the programs of those skills that can be used."""
        return {
            name: value
            for skill in self._usable()
            for name, value in entry_of(skill.manifest, self._config).env.items()
        }

    def told(self) -> str:
        """All skills, for a person."""
        self.refresh(force=True)
        if not self._skills:
            return _NONE.format(workspace=self._own)
        usable = [
            f"- {skill.manifest.name} ({skill.place}{_flags(skill.manifest)}): {skill.manifest.description}"
            for skill in self._usable()
        ]
        others = [
            f"- {skill.manifest.name}: {skill.missing}" for skill in self._skills.values() if skill.missing
        ]
        lines = ["Skills:", *(usable or ["- none"]), *(["Not to be used here:", *others] if others else [])]
        text = "\n".join(lines)
        return text if len(text) <= _MAX_LISTING_CHARS else text[:_MAX_LISTING_CHARS] + "…"

    def _usable(self) -> Iterator[Skill]:
        return (skill for skill in self._skills.values() if not skill.missing)

    # Looking

    def _look(self, place: _Place) -> bool:
        changed = False
        try:
            stamp = stamp_of(place.path)
            if not place.known or stamp != place.stamp:
                place.children = _directories_in(place.path) if stamp is not None else ()
                place.stamp = stamp
                place.known = stamp is None or is_settled(stamp)
                changed = True
        except OSError as error:
            if place.known or place.children:
                logger.warning("skills in %s cannot be read: %s", place.path, error.strerror)
            place.known, place.children = False, ()
        for directory, path in place.children:
            changed |= self._look_at(place, directory, path)
        return changed

    def _look_at(self, place: _Place, directory: Path, path: str) -> bool:
        known = self._found.get(path)
        try:
            stamp = stamp_of(path)
            if known is not None and known.settled and known.stamp == stamp:
                return False
            read = _bundled.get(path)
            if read is None or not read.settled or read.stamp != stamp:
                read = _read(path, place.inside or Path(os.path.realpath(directory)))
            self._found[path] = read
        except (OSError, InvalidSkill) as error:
            stamp = _stamp_or_none(path)
            if known is None or known.stamp != stamp or known.manifest is not None:
                reason = error.strerror if isinstance(error, OSError) else error
                logger.warning("the skill %s is left out: %s", path, reason)
            self._found[path] = _Found(stamp, stamp is not None and is_settled(stamp), None)
        after = self._found[path]
        return known is None or known.manifest != after.manifest

    # Choosing

    def _chosen(self) -> dict[str, Skill]:
        chosen: dict[str, Skill] = {}
        for place in self._places:
            for directory, path in place.children:
                found = self._found.get(path)
                if found is None or found.manifest is None:
                    continue
                lacking = missing(
                    found.manifest, self._config, bundled=place.name == "bundled", environ=self._environ
                )
                chosen[found.manifest.name.casefold()] = Skill(found.manifest, directory, place.name, lacking)
        return dict(sorted(chosen.items()))

    def _listed(self) -> str:
        lines: list[str] = []
        room = _MAX_LISTING_CHARS
        for skill in self._usable():
            if not skill.manifest.model_invocable:
                continue
            line = (
                f"<skill><name>{escape(skill.manifest.name, quote=False)}</name>"
                f"<description>{escape(skill.manifest.description, quote=False)}</description>"
                f"<location>{escape(str(skill.directory / _FILE), quote=False)}</location></skill>"
            )
            room -= len(line)
            if room < 0:
                logger.warning(
                    "the skill %s and those after it find no room in the prompt", skill.manifest.name
                )
                break
            lines.append(line)
        if not lines:
            return ""
        return "\n".join([_INTRODUCTION, "<available-skills>", *lines, "</available-skills>"])

    def _root_of(self, skill: Skill) -> Path:
        place = next(each for each in self._places if each.name == skill.place)
        real = Path(os.path.realpath(skill.directory))
        # A link may put a skill of the workspace elsewhere in it, and a file of the skill elsewhere in the skill.
        if place.inside is not None and not real.is_relative_to(os.path.realpath(place.inside)):
            raise OSError(0, "it leads out of the workspace")
        return real


def _stamp_or_none(path: str) -> Stamp | None:
    try:
        return stamp_of(path)
    except OSError:
        return None


def _directories_in(path: Path) -> tuple[tuple[Path, str], ...]:
    with os.scandir(path) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    if len(names) > _MAX_SKILLS_A_PLACE:
        logger.warning("%s has %d skills; the first %d are used", path, len(names), _MAX_SKILLS_A_PLACE)
    return tuple((path / name, str(path / name / _FILE)) for name in names[:_MAX_SKILLS_A_PLACE])


def _flags(manifest: Manifest) -> str:
    return ("" if manifest.model_invocable else ", only when asked for") + (
        "" if manifest.user_invocable else ", not by /skill"
    )
