"""Decides how `start` gets rid of secrets: it puts them into a vault, and executes itself anew without them.

A process that once had a secret keeps pieces of it in memory that it gave back to itself, and so does every process
that is forked from it. An exec leaves nothing: same process, same command line, other memory.
"""

from __future__ import annotations

__all__ = ["VARIABLE", "Handover", "hand_over", "must_hand_over", "take_over"]

import os
import signal
import sys
from collections.abc import Mapping
from typing import NoReturn

import msgspec

from openclaw_actors.config import GatewayConfig, secret_variables
from openclaw_actors.config.lastgood import LastGood
from openclaw_actors.config.rules import secret_refs
from openclaw_actors.config.secrets import travelling, vault_content, without_values
from openclaw_actors.config.vault import VaultUnusable, fill_vault, read_head, vault_path
from openclaw_actors.errors import OpenClawError

VARIABLE = "OPENCLAW_ACTORS_VAULT"
"""PID:DESCRIPTOR, set by `start` for itself and for nobody else."""


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """What `start` knows after it has executed itself."""

    config: GatewayConfig
    """Without values of secrets."""
    file: str | None
    """The configuration file that was read."""
    references: dict[str, str] = {}
    """Dotted key -> reference into the vault, or to a file."""
    vault: str = ""
    """Where the vault is; empty: there is none."""
    hidden: tuple[str, ...] = ()
    """Names of the variables that are in it instead of in the environment."""
    good: LastGood | None = None
    """What is kept for the next start once the gateway is up; None: nothing new."""
    warning: str = ""
    """Why it is not the configuration that was meant; empty: it is."""


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    known: Handover


def must_hand_over(config: GatewayConfig, environ: Mapping[str, str]) -> bool:
    """Whether this process has read a secret, or has one in its environment."""
    held = any(environ[name].strip() for name in secret_variables(config, environ))
    return held or config.tls.key is not None or any(True for _ in secret_refs(config))


def hand_over(known: Handover) -> NoReturn:
    """Execute this process anew, without secrets.

    Args:
        known: what `load` accepted, with values of secrets, and what belongs to it.

    Raises:
        ConfigError: a reference does not resolve any more.
        OpenClawError: the kernel does not do it.
    """
    config = known.config
    names = tuple(sorted(secret_variables(config, os.environ)))
    hidden = {os.fsencode(name) for name in names}
    environ = {name: value for name, value in os.environb.items() if name not in hidden}
    secrets = vault_content(config, os.environ, names)
    told = msgspec.structs.replace(known, config=without_values(config), hidden=names)
    head = _Head(pid=os.getpid(), known=told)
    try:
        vault = fill_vault(secrets, msgspec.json.encode(head))
    except OSError as error:
        raise OpenClawError(f"secrets cannot be put away: memfd_create: {error.strerror}") from None
    environ[os.fsencode(VARIABLE)] = b"%d:%d" % (os.getpid(), vault)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # it was closed before we began
            stream.flush()
    # A Ctrl-C that Python has noted and not yet raised would be lost with its memory: from here on it kills.
    signal.signal(signal.SIGINT, _without_python(signal.getsignal(signal.SIGINT)))
    try:
        os.execve(sys.executable, sys.orig_argv, environ)
    except OSError as error:
        raise OpenClawError(f"{sys.executable} cannot be executed again: {error.strerror}") from None


def _without_python(handler: object) -> signal.Handlers:
    # Who starts it in the background may have it ignore the signal; that outlives an exec.
    return signal.SIG_IGN if handler is signal.SIG_IGN else signal.SIG_DFL


def take_over(environ: Mapping[str, str]) -> Handover | str | None:
    """Find out whether this process has executed itself, and what it knew before.

    Args:
        environ: the environment.

    Returns:
        None if it has not; a text if the environment claims so and it is not true.

    Raises:
        OpenClawError: it has, and the vault cannot be used.
    """
    claimed = environ.get(VARIABLE)
    if claimed is None:
        return None
    pid, _, number = claimed.partition(":")
    if pid != str(os.getpid()) or not (number.isascii() and number.isdigit() and len(number) < 10):
        return f"{VARIABLE} is ignored: only start itself sets it"
    vault = int(number)
    try:
        head = msgspec.json.decode(read_head(vault), type=_Head)
        if head.pid != os.getpid():
            raise VaultUnusable("the vault is another process's")
    except (VaultUnusable, msgspec.MsgspecError) as error:
        # Not ignored: if this process did execute itself, it would do so again for ever.
        raise OpenClawError(f"{VARIABLE} does not lead to the secrets: {error}; unset it") from None
    os.set_inheritable(vault, False)
    at = vault_path(vault)
    references = travelling(head.known.config, environ, at)
    return msgspec.structs.replace(head.known, references=references, vault=at)
