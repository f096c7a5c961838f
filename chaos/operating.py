"""What an operator does meanwhile, by the command line: back up, reload, restart, archive what is old.

None of it harms anybody, and each may be refused while the gateway is down; but it has to end, and with a word.
"""

from __future__ import annotations

import asyncio
import base64
import os

from chaos.scene import Fault, Scene

__all__ = ["OPERATING"]

_COMMAND_WITHIN_S = 60.0
_LONG_AGO = 1_000.0
_THROW_AWAY = ("flood-", "deaf-", "fragments", "nonsense")
"""Conversations that no one misses."""


async def _operate(scene: Scene, *arguments: str, state: str = "state") -> str:
    """Runs a command as the gateway's user; returns how it ended."""
    gateway = scene.gateway
    words = " ".join(arguments)
    process = await asyncio.create_subprocess_exec(
        *gateway.command(*arguments, state=state),
        cwd=gateway.directory,
        env=gateway.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_COMMAND_WITHIN_S):
            _, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        scene.complaints.append(f"`{words}` did not end within {_COMMAND_WITHIN_S:g} s")
        return f"`{words}` did not end"
    said = errors.decode(errors="replace").strip()
    if process.returncode not in (0, 1, 2, 3) or "Traceback" in said:
        scene.complaints.append(f"`{words}` ended with {process.returncode}: {said[-500:]}")
    return f"`{words}` ended with {process.returncode}" + (f": {said[:200]}" if process.returncode else "")


async def _backup(scene: Scene) -> str:
    file = scene.gateway.directory / "backup.tar.gz"
    done = await _operate(scene, "backup", "--force", str(file))
    if done.endswith("ended with 0"):
        checked = await _operate(scene, "restore", "--dry-run", str(file), state="elsewhere")
        if not checked.endswith("ended with 0"):
            scene.complaints.append(f"a backup cannot be restored: {checked}")
        done += f"; {checked}"
    return done


async def _reload(scene: Scene) -> str:
    """Another limit, and whatever else the file says by then."""
    scene.gateway.reconfigure("sessions", "max_pending", scene.dice.randint(16, 64))
    scene.gateway.reconfigure("logging", "level", scene.dice.choice(("info", "warning")))
    return await _operate(scene, "reload")


async def _reload_nonsense(scene: Scene) -> str:
    """A file that is refused; it is put right again."""
    scene.gateway.reconfigure("sessions", "max_live", -1)
    try:
        return await _operate(scene, "reload")
    finally:
        scene.gateway.reconfigure("sessions", "max_live", 256)


def _restart(name: str) -> Fault:
    async def strike(scene: Scene) -> str:
        return await _operate(scene, "actors", "restart", name)

    return strike


async def _restart_session(scene: Scene) -> str:
    session = scene.dice.choice(list(scene.talkers)).conversation.id
    return await _operate(scene, "sessions", "restart", f"websocket:local:{session}")


async def _retention(scene: Scene) -> str:
    """Conversations that no one misses were last used in 1970, and go to the archive, but for those that live."""
    memory = scene.gateway.memory
    aged = 0
    for path in (memory / "sessions").glob("*.json*"):
        try:
            key = base64.urlsafe_b64decode(path.name.partition(".")[0] + "==").decode()
            if key.removeprefix("websocket:local:").startswith(_THROW_AWAY):
                os.utime(path, (_LONG_AGO, _LONG_AGO))
                aged += 1
        except (ValueError, OSError):
            continue  # its name is a hash, or it has just gone
    return f"{aged} old files; " + await _operate(scene, "retention", "run")


OPERATING: dict[str, tuple[int, Fault]] = {
    "operator-backup": (1, _backup),
    "operator-reload": (1, _reload),
    "operator-mistake": (1, _reload_nonsense),
    "operator-retention": (1, _retention),
    "operator-restart-router": (1, _restart("router")),
    "operator-restart-persistence": (1, _restart("persistence")),
    "operator-restart-session": (1, _restart_session),
}
