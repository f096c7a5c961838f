"""Owns a plain HTTP client for tests of `/api`: what is sent is exactly what the test says."""

from __future__ import annotations

__all__ = ["Answer", "Api", "session_path"]

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

DEADLINE_S = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back; `body` is the JSON document, if it is one."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        code: str = self.body["error"]["code"]
        return code


class Api:
    """Requests to one gateway, each on a connection of its own.

    Args:
        url: of the HTTP channel.
        token: sent as bearer token.
    """

    def __init__(self, url: str, *, token: str | None = None) -> None:
        self.host_port = url.removeprefix("http://")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """One request.

        Args:
            body: sent as JSON.
            raw: sent as it is.
        """
        sent = dict(self._headers)
        if body is not None:
            sent["Content-Type"] = "application/json"
            raw = json.dumps(body).encode()
        sent.update(headers or {})
        connection = http.client.HTTPConnection(self.host_port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, raw, sent)
            response = connection.getresponse()
            text = response.read().decode()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, text)
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Any:
        """The document at a path, which must be there."""
        answer = self("GET", path, **options)
        assert answer.status == 200, f"{path}: {answer.status} {answer.text}"
        return answer.body


def session_path(key: str, rest: str = "") -> str:
    """The path of a session."""
    return f"/api/sessions/{quote(key, safe='')}{rest}"
