"""Decides whether a webhook's request was signed by Twilio, with our auth token and for our public URL.

`X-Twilio-Signature` is the HMAC-SHA1, in base64, of the URL and of every form field's name and value, by name. A name's
values count once each, by value. Twilio is not of one mind about the port: it may sign the URL with or without it.
"""

from __future__ import annotations

import base64
import hmac
from urllib.parse import urlsplit

from openclaw_actors.channels.twilio.form import Fields

__all__ = ["SIGNATURE_HEADER", "SignatureCheck", "signature_of"]

SIGNATURE_HEADER = "X-Twilio-Signature"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def signature_of(token: str, url: str, fields: Fields) -> str:
    """What Twilio sends for a URL and a form."""
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    digest = hmac.digest(token.encode(), signed.encode("utf-8", "surrogatepass"), "sha1")
    return base64.b64encode(digest).decode("ascii")


class SignatureCheck:
    """Checks requests for one webhook.

    Args:
        token: the account's auth token.
        public_base_url: what stands before the path at Twilio.
        path: of the webhook.
    """

    def __init__(self, token: str, public_base_url: str, path: str) -> None:
        self._token = token
        self._urls = _with_and_without_port(public_base_url.rstrip("/") + "/" + path.lstrip("/"))

    def passes(self, fields: Fields, query: str, shown: str | None) -> bool:
        """Whether this is the signature of these fields. Takes as long for a wrong one as for the right one.

        Args:
            query: of the request's URL, as it came, without `?`.
            shown: the header's value.
        """
        offered = (shown or "").strip().encode("utf-8", "surrogatepass")
        suffix = f"?{query}" if query else ""
        good = False
        for url in self._urls:
            expected = signature_of(self._token, url + suffix, fields).encode("ascii")
            good |= hmac.compare_digest(expected, offered)
        return good


def _with_and_without_port(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    host, colon, port = parts.netloc.rpartition(":")
    if not colon or not port.isdigit():  # also the end of an IPv6 address in brackets
        host, port = parts.netloc, str(_DEFAULT_PORTS[parts.scheme])
    return (
        parts._replace(netloc=host).geturl(),
        parts._replace(netloc=f"{host}:{port}").geturl(),
    )
