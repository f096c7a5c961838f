"""Looks at who can reach the gateway and with what: bind address, tokens, origins, proxies, secrets in files."""

from __future__ import annotations

__all__ = ["look"]

import ipaddress
import math
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, error, info, ok, warning
from openclaw_actors.config import is_loopback
from openclaw_actors.config.models import further_models, settings_of
from openclaw_actors.config.paths import expand
from openclaw_actors.config.rules import secret_refs
from openclaw_actors.config.secrets import SecretUnresolved, resolve
from openclaw_actors.config.sections import SecurityConfig

LEAST_TOKEN_CHARS = 24
LEAST_TOKEN_KINDS = 8
"""Different characters; a token of fewer was typed, not drawn."""
LEAST_TOKEN_BITS = 80.0
"""Of entropy, by how often each character stands in it, and by how seldom it only goes on as it began."""

_MOST_PUBLIC_PROXIES = 256
"""Addresses of the Internet in one network of proxies; private networks may be as large as they are."""

_NEW_TOKEN = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


def look(context: Context) -> Iterator[Finding]:
    """See the module's text."""
    public = not is_loopback(context.config.bind_address)
    yield from _tokens(context, public=public)
    yield from _bind(context, public=public)
    yield from _security(context, public=public)
    yield from _secrets(context)
    yield from _endpoint(context)
    if os.geteuid() == 0:
        yield warning(
            "this runs as root",
            why="a fault in the gateway, or a tool, could then do everything",
            remedy="give the gateway a user of its own: User= in the service",
        )


def _tokens(context: Context, *, public: bool) -> Iterator[Finding]:
    config = context.config
    refs = dict(secret_refs(config))
    tokens = {key: ref for key, ref in refs.items() if key == "auth_token" or key.startswith("auth.tokens.")}
    if not tokens and not public:
        yield info(
            "no token is asked for",
            why="every user and every program of this machine can talk to the agent",
            remedy=f"set OPENCLAW_AUTH_TOKEN to what this prints: {_NEW_TOKEN}",
        )
    for key, ref in tokens.items():
        try:
            value = resolve(ref, context.environ)
        except SecretUnresolved:
            continue  # told where the configuration is looked at, or only the service has it
        if weakness := _weakness(value):
            make = error if public else warning
            yield make(
                f"the token {key} can be guessed: {weakness}",
                why="whoever guesses it speaks as its owner, and reads all of the conversations",
                remedy=f"replace it by what this prints: {_NEW_TOKEN}",
            )
        else:
            yield ok(f"the token {key} is long enough")


def _weakness(token: str) -> str:
    """Why a token can be guessed; empty where it cannot."""
    if len(token) < LEAST_TOKEN_CHARS or len(set(token)) < LEAST_TOKEN_KINDS:
        return f"{len(token)} characters, {len(set(token))} different ones"
    bits = _entropy_bits(token)
    return (
        f"about {bits:.0f} bits of chance in it, and {LEAST_TOKEN_BITS:.0f} are wanted"
        if bits < LEAST_TOKEN_BITS
        else ""
    )


def _entropy_bits(token: str) -> float:
    """An estimate from above: what a stranger would try first is counted as one."""
    shares = [count / len(token) for count in Counter(token).values()]
    each = -sum(share * math.log2(share) for share in shares)
    surprising = {token[at : at + 3] for at in range(len(token) - 2) if not _goes_on(token[at : at + 3])}
    return each * min(len(token), len(surprising) + 2)


def _goes_on(three: str) -> bool:
    """`abc`, `321`, `aaa`, `ace`: each character is as far from the one before it."""
    first, second, third = map(ord, three)
    return third - second == second - first and abs(second - first) < 3


def _bind(context: Context, *, public: bool) -> Iterator[Finding]:
    config = context.config
    if not public:
        yield ok(f"only this machine reaches {config.bind_address}")
        return
    if config.tls.on:
        yield ok(f"{config.bind_address} can be reached from outside, and speaks TLS alone")
    elif config.security.trust_forwarded_headers:
        yield info(
            f"{config.bind_address} can be reached from outside, by a proxy that must speak TLS",
            why="who reaches the ports past the proxy is not encrypted",
            remedy="a firewall, or a network of containers, in which the proxy alone reaches them",
        )
    else:
        yield warning(
            f"{config.bind_address} can be reached from outside, and what is said there is not encrypted",
            why="tokens and conversations can be read on their way",
            remedy="tls.certificate and tls.key, or bind_address: 127.0.0.1 and a proxy that speaks TLS before it",
        )
    allowed = (
        "allow_unsafe_tooling_on_public_bind",
        "allow_plugin_bridge_on_public_bind",
        "allow_raw_secret_refs_on_public_bind",
    )
    for name in allowed:
        if getattr(config.security, name):
            yield warning(
                f"security.{name} is true",
                why="a rule that protects a public address is off",
                remedy=f"security.{name}: false, unless it was meant",
            )


def _security(context: Context, *, public: bool) -> Iterator[Finding]:
    security = context.config.security
    if security.allow_query_string_token:
        yield warning(
            "security.allow_query_string_token is true",
            why="tokens in addresses end up in the logs of proxies and in the history of browsers",
            remedy="security.allow_query_string_token: false; browsers can use the subprotocol openclaw.token.T",
        )
    if public and security.trust_forwarded_headers and not security.known_proxies:
        yield warning(
            "security.trust_forwarded_headers is true, and security.known_proxies is empty",
            why="only a proxy on this machine is believed; behind any other, all clients share one limit",
            remedy="security.known_proxies: [ADDRESS OF THE PROXY]",
        )
    yield from _proxies(security)
    if security.known_proxies and not security.trust_forwarded_headers:
        yield info(
            "security.known_proxies is set, but not used",
            why="security.trust_forwarded_headers is false",
            remedy="security.trust_forwarded_headers: true, where a proxy stands before the gateway",
        )
    for origin in security.allowed_origins:
        if public and origin.startswith("http://") and not is_loopback(urlsplit(origin).hostname or ""):
            yield warning(
                f"security.allowed_origins holds {origin}, a page that is not encrypted",
                why="whoever changes it on its way can speak for its reader",
                remedy=f"list https{origin.removeprefix('http')} instead",
            )


def _proxies(security: SecurityConfig) -> Iterator[Finding]:
    why = "each client in it can claim another's address, and so escape its limits"
    for text in security.known_proxies:
        network = ipaddress.ip_network(text, strict=False)
        if network.prefixlen == 0:
            yield error(
                f"security.known_proxies holds {text}: everybody", why=why, remedy="name the proxies alone"
            )
        elif network.is_global and network.num_addresses > _MOST_PUBLIC_PROXIES:
            yield warning(
                f"security.known_proxies holds {text}: {network.num_addresses} addresses of the Internet",
                why=why,
                remedy="name the proxies alone",
            )


def _secrets(context: Context) -> Iterator[Finding]:
    in_file = False
    for key, ref in secret_refs(context.config):
        scheme, _, rest = ref.partition(":")
        if scheme.lower() == "file":
            yield from _readable(expand(rest, context.environ), f"{key} stands in")
        elif scheme.lower() == "raw" and context.sources.get(key, "").startswith(f"{context.file}:"):
            in_file = True
            yield warning(
                f"{key} stands in {context.file} itself",
                why="who may read the configuration, or its copies, has the secret",
                remedy=f"{key}: file:PATH, of a file with the mode 600, or env:NAME",
            )
    if context.file is not None:
        if in_file:
            yield from _readable(context.file, "secrets stand in")
        yield from _changeable(context.file)


def _readable(path: Path, what: str) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # told where the configuration is looked at
    if mode & 0o077:
        yield error(
            f"{what} {path}, which has the mode {mode:04o}",
            why="other users of this machine can read or change it",
            remedy=f"chmod 600 {path}",
        )


def _changeable(path: Path) -> Iterator[Finding]:
    for each in (path, path.absolute().parent):
        try:
            found = each.stat()
        except OSError:
            continue  # told where the configuration is looked at
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_mode & 0o022 and not sticky:
            # The group is often its owner's alone.
            make = error if found.st_mode & 0o002 else warning
            yield make(
                f"{each} has the mode {stat.S_IMODE(found.st_mode):04o}: others can change the configuration",
                why="who can change it can have the gateway run programs of theirs",
                remedy=f"chmod go-w {each}",
            )
        elif found.st_uid not in (0, os.geteuid()):
            yield error(
                f"{each} belongs to the user {found.st_uid}, who can change the configuration",
                why="who can change it can have the gateway run programs of theirs",
                remedy=f"sudo chown root {each}",
            )


def _endpoint(context: Context) -> Iterator[Finding]:
    llm = context.config.llm
    further = ((at, settings_of(llm, model)) for at, model in further_models(llm) if model.endpoint)
    for at, settings in (("llm", llm), *further):
        parts = urlsplit(settings.endpoint or "")
        if parts.scheme == "http" and settings.api_key is not None and not is_loopback(parts.hostname or ""):
            yield warning(
                f"{at}.endpoint is http://{parts.netloc}: the key and all conversations go there unencrypted",
                why="whoever is on the way can read them",
                remedy=f"{at}.endpoint: https://{parts.netloc}{parts.path}",
            )
