"""What all sessions of one configuration begin with, made in the router before it forks them.

CPython counts references in the objects themselves, so a process copies each page with an object that it looks at.
What is made before the fork is neither made again nor copied: a session writes on what it uses alone.
"""

from __future__ import annotations

import logging

from openclaw_actors.actors.session_limits import session_limits
from openclaw_actors.actors.session_tools import SessionTools
from openclaw_actors.agent.skills.shelf import warm_up
from openclaw_actors.agent.system_prompt import SystemPrompt
from openclaw_actors.config import decode

__all__ = ["SessionBlueprint", "blueprint_of", "prepare_sessions"]


class SessionBlueprint:
    """The parts of a session that follow from its configuration. Each process has its own, by the fork.

    Args:
        settings: as `config.encode` writes it.
    """

    def __init__(self, settings: bytes) -> None:
        self.settings = settings
        self.config = decode(settings)
        self.limits = session_limits(self.config)
        self.system_prompt = SystemPrompt(self.config)
        self.tools = SessionTools(self.config, self.system_prompt.skills)


logger = logging.getLogger(__name__)

_prepared: SessionBlueprint | None = None


def prepare_sessions(settings: bytes) -> None:
    """Make what the sessions that are forked from this process need; what cannot be made each has to make itself."""
    global _prepared
    _prepared = None
    try:
        made = SessionBlueprint(settings)
        if made.config.skills.enabled:
            warm_up()
        made.system_prompt.refresh()
        _prepared = made
    except Exception:
        logger.exception("sessions cannot be prepared")


def blueprint_of(settings: bytes) -> SessionBlueprint:
    """What was made before the fork, or, where that does not hold any more, what is made now. Taken once a process."""
    if _prepared is None or _prepared.settings != settings:
        return SessionBlueprint(settings)
    skills = _prepared.config.skills
    # Without a watch each session sees the skills that there are when it begins, for as long as it lives.
    return _prepared if skills.load.watch or not skills.enabled else SessionBlueprint(settings)
