"""Looks at what a model could be talked into: tools that run programs, write or send, and who can talk to it."""

from __future__ import annotations

__all__ = ["look"]

from collections.abc import Iterator
from pathlib import Path

from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, error, info, ok, warning
from openclaw_actors.config import GatewayConfig, is_loopback
from openclaw_actors.config.paths import expand
from openclaw_actors.config.rules import secret_refs

_READ_BY_THE_MODEL = "a page, a file or a message that the model reads can ask for it"


def look(context: Context) -> Iterator[Finding]:
    """See the module's text."""
    config = context.config
    strong = list(_strong_tools(config))
    yield from _without_approval(config, strong)
    yield from _roots(context)
    native = config.plugins.native
    if native.web_fetch.enabled and native.web_fetch.allowed_private_hosts:
        yield warning(
            f"the tool web_fetch reaches {', '.join(native.web_fetch.allowed_private_hosts)} in your own network",
            why=f"what answers there trusts this machine, and {_READ_BY_THE_MODEL}",
            remedy="plugins.native.web_fetch.allowed_private_hosts: []",
        )
    if config.tooling.pass_environment:
        yield warning(
            f"programs of tools are given {', '.join(config.tooling.pass_environment)}",
            why="what they run can show these variables to the model, and so to whoever talks to it",
            remedy="tooling.pass_environment: [], or without those that hold a secret or lead to one",
        )
    for name in config.tooling.hooks:
        yield info(f"the hook {name} runs in every session", why="it can do all that the gateway can")
    if not strong:
        yield ok("no tool runs programs, writes elsewhere or sends anything")


def _strong_tools(config: GatewayConfig) -> Iterator[tuple[str, str]]:
    """What each of them can do, and how it is taken away."""
    native = config.plugins.native
    if config.tooling.allow_shell:
        yield "shell runs any program", "tooling.allow_shell: false"
    if native.code_exec.enabled:
        yield "code_exec runs any code", "plugins.native.code_exec.enabled: false"
    if native.git_tools.enabled and native.git_tools.allow_push:
        yield "git pushes to other machines", "plugins.native.git_tools.allow_push: false"
    if native.database.enabled and native.database.allow_write:
        yield "database changes data", "plugins.native.database.allow_write: false"
    for name, server in config.mcp.servers.items():
        if server.enabled:
            what = "runs as this user" if server.command is not None else f"is at {server.url}"
            yield f"the MCP server {name} {what}", f"mcp.servers.{name}.enabled: false"


def _without_approval(config: GatewayConfig, strong: list[tuple[str, str]]) -> Iterator[Finding]:
    if config.tooling.approval != "never":
        for what, _ in strong:
            yield ok(f"{what}, after a person has agreed (tooling.approval: {config.tooling.approval})")
        return
    listed = set(config.tooling.approval_required_tools) if config.tooling.require_tool_approval else set()
    many = config.channels.sms.twilio.enabled or not is_loopback(config.bind_address)
    for what, remedy in strong:
        if what.split()[0] in listed:
            yield ok(f"{what}, after a person has agreed (tooling.approval_required_tools)")
            continue
        make = error if many else warning
        who = ", and others than you can reach it" if many else ""
        yield make(
            f"{what}, and nobody is asked",
            why=f"{_READ_BY_THE_MODEL}{who}",
            remedy=f"tooling.approval: dangerous; or {remedy}",
        )


def _roots(context: Context) -> Iterator[Finding]:
    tooling = context.config.tooling
    secret = _secret_places(context)
    for verb, key, roots in (
        ("read", "allowed_read_roots", tooling.allowed_read_roots),
        ("write", "allowed_write_roots", tooling.allowed_write_roots),
    ):
        for root in roots:
            if root == "*" or not root.strip("/"):
                yield error(
                    f"tools {verb} every file that this user can",
                    why=f"keys, conversations and the configuration among them; {_READ_BY_THE_MODEL}",
                    remedy=f"tooling.{key}: [{context.config.workspace}]",
                )
                continue
            for what, place in secret.items():
                if _holds(Path(root), place):
                    yield error(
                        f"tools {verb} below {root}, where {what} is: {place}",
                        why="a tool could give it away" if verb == "read" else "a tool could change it",
                        remedy=f"take {root} out of tooling.{key}, or move one of them",
                    )


def _secret_places(context: Context) -> dict[str, Path]:
    """What no tool may reach, unless it lies in the workspace on purpose."""
    config, paths = context.config, context.paths
    found = {"the store": paths.memory, "the log": paths.logs, "the run directory": paths.run}
    if context.file is not None:
        found["the configuration"] = Path(context.file).absolute()
    if config.tls.key is not None:
        found["tls.key"] = Path(config.tls.key)
    for key, ref in secret_refs(config):
        if ref.lower().startswith("file:"):
            found[key] = expand(ref[5:], context.environ)
    return found


def _holds(root: Path, place: Path) -> bool:
    try:
        return place.resolve().is_relative_to(root.resolve())
    except OSError:
        return False  # a loop of links; whoever opens it fails too
