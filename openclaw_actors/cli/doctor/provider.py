"""Looks at the model provider: whether it can be reached, and whether it takes the key and knows the model."""

from __future__ import annotations

__all__ = ["look"]

from openclaw_actors.cli.doctor.context import Context
from openclaw_actors.cli.doctor.finding import Finding, error, info, ok, warning
from openclaw_actors.cli.doctor.gateway import reason_of
from openclaw_actors.cli.doctor.probing import NoProbe
from openclaw_actors.errors import OpenClawError
from openclaw_actors.messages import ProviderProbed

_UNANSWERED = "no message gets an answer"

_TROUBLE: dict[str, tuple[str, str]] = {
    "key": ("{where} refuses the API key", "set llm.api_key (OPENCLAW_API_KEY) to a valid key, and restart"),
    "forbidden": (
        "{where} does not allow this key to list models",
        "see the rights of the key at the provider",
    ),
    "credit": ("the account at {where} has no credit left", "see its plan and billing"),
    "foreign": (
        "what answers at {where} does not speak the API of llm.provider",
        "check llm.endpoint: the path, often /v1, and whether a proxy or a log-in page stands in between",
    ),
    "moved": ("{where} says that it has moved", "set llm.endpoint to the address that it names"),
    "http": ("what answers at {where} does not speak HTTP as it should", "check the port in llm.endpoint"),
    "proxy": (
        "the proxy {where} does not connect",
        "check HTTPS_PROXY and NO_PROXY in the environment of `start`",
    ),
    "tls": (
        "no trusted TLS connection to {where}",
        "check llm.endpoint (http or https?), the machine's certificates, and its clock",
    ),
    "tcp": (
        "no connection to {where}",
        "check llm.endpoint, whether the server runs, and the firewall: curl -v https://{where}",
    ),
    "dns": (
        "the name of {where} cannot be looked up",
        "check llm.endpoint and the machine's DNS: getent hosts NAME",
    ),
    "timeout": ("{where} does not answer", "check the network, firewall and proxy between here and there"),
    "address": (
        "llm.endpoint is no address that can be called",
        "set llm.endpoint, such as https://api.example/v1",
    ),
}


async def look(context: Context) -> list[Finding]:
    """See the module's text."""
    try:
        probed = await context.probing.result()
    except NoProbe as problem:
        return [
            warning(
                f"the provider was not called: {problem}",
                why="nothing is known of it",
                remedy="mend the configuration, or run this where the gateway's environment is",
            )
        ]
    except OpenClawError as failed:
        return [
            error(
                f"`model` does not say how the provider is: {reason_of(failed)}",
                why=_UNANSWERED,
                remedy="openclaw-actors actors restart model",
            )
        ]
    return _findings(probed)


def _findings(probed: ProviderProbed) -> list[Finding]:
    where, took = probed.where, f"{probed.seconds:.2f} s"
    detail = f": {probed.detail}" if probed.detail else ""
    match probed.result:
        case "demo":
            return [
                info(
                    "the demo provider answers: no key is set",
                    why="it echoes, so that everything can be tried without an account",
                    remedy="set OPENCLAW_API_KEY, or llm.endpoint for a server of your own",
                )
            ]
        case "ok":
            return [
                ok(f"{probed.provider} at {where} answers in {took}, takes the key, and has {probed.model}")
            ]
        case "unlisted":
            return [
                warning(
                    f"{where} takes the key, but does not list the model {probed.model}",
                    why='a call may be answered with "no such model"; some servers list only a part',
                    remedy="set llm.model (OPENCLAW_MODEL) to one of its models",
                )
            ]
        case "unchecked":
            return [
                warning(
                    f"{where} answers in {took}, but lists no models{detail}",
                    why="whether it takes the key, and whether llm.endpoint has the right path, is not known",
                    remedy="openclaw-actors send hello",
                )
            ]
        case "busy" | "failing":
            return [
                warning(
                    f"{where} is reached, and {'refuses for now' if probed.result == 'busy' else 'fails'}{detail}",
                    why="calls are repeated for a while, and then answered with an apology",
                    remedy="see the provider's status page and the limits of the account",
                )
            ]
    what, remedy = _TROUBLE[probed.result]
    return [error(what.format(where=where) + detail, why=_UNANSWERED, remedy=remedy.format(where=where))]
