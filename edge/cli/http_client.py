"""Talking to the coordinator's HTTP API with the standard library: an agent's install has no other client."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from edge.errors import CODE_PATTERN, ConfigError, Exit, JidokaError, LinkError

DEFAULT_URL: Final = "http://127.0.0.1:8080"
TIMEOUT_S: Final = 15.0
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_HTTP_ERROR: Final = 400
_BAD_REQUEST: Final = (400, 422)
_HINTS: Final = {"AGENT_UNKNOWN": "`jidoka fleet ls` shows who is known"}


class RefusedError(JidokaError):
    """The coordinator or an agent understood and said no; the code is its own."""

    exit_status = Exit.LINK


class Client:
    """One coordinator. Every method raises LinkError LINK_REFUSED, LINK_TIMEOUT or LINK_FAILED, or the API's refusal."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise ConfigError("URL_WRONG", f"{url!r} is not a coordinator", hint=f"write {DEFAULT_URL}")
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = make(parts.hostname, port, timeout=timeout_s)
        self._url = f"{parts.scheme}://{parts.netloc}"
        self._base = parts.path.rstrip("/")

    def close(self) -> None:
        """Let go. May be called twice."""
        self._connection.close()

    def get(self, path: str, **query: object) -> Any:
        """The JSON answer to a GET; empty and None parameters are left out."""
        given = {name: value for name, value in query.items() if value not in {None, ""}}
        return self._json("GET", f"{path}?{urlencode(given)}" if given else path, None)

    def send(self, method: str, path: str, body: object) -> Any:
        """The JSON answer to a request with a JSON body."""
        return self._json(method, path, json.dumps(body).encode())

    def pages(self, path: str, name: str, most: int = 0, **query: object) -> Iterator[dict[str, Any]]:
        """Every row of a paged list, at most ``most`` of them unless that is 0."""
        cursor: int | None = None
        given = 0
        while True:
            limit = min(500, most - given) if most else 500
            answer = self.get(path, cursor=cursor, limit=limit, **query)
            yield from answer[name]
            given += len(answer[name])
            cursor = answer["next_cursor"]
            if cursor is None or (most and given >= most):
                return

    def _json(self, method: str, path: str, body: bytes | None) -> Any:
        status, data = self._exchange(method, path, body)
        try:
            answer = json.loads(data)
        except ValueError as error:
            raise LinkError(
                "LINK_FAILED", f"{self._url} does not speak like a coordinator", f"status {status}"
            ) from error
        if status >= _HTTP_ERROR:
            told = answer.get("error") if isinstance(answer, dict) else None
            told = told if isinstance(told, dict) else {}
            raise _refusal(str(told.get("code", "")), str(told.get("what", "")), status)
        return answer

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body else {})
        hint = "start one with `jidoka coordinator`, or name another with --url"
        try:
            self._connection.request(method, self._base + path, body, headers)
            response = self._connection.getresponse()
            return response.status, response.read(MAX_ANSWER_BYTES)
        except ConnectionRefusedError as error:
            raise LinkError("LINK_REFUSED", f"no coordinator listens at {self._url}", hint=hint) from error
        except TimeoutError as error:
            raise LinkError("LINK_TIMEOUT", f"{self._url} did not answer in time") from error
        except socket.gaierror as error:
            raise LinkError("LINK_HOST_UNKNOWN", f"the host of {self._url} is not known") from error
        except (OSError, http.client.HTTPException) as error:
            raise LinkError("LINK_FAILED", f"{self._url} cannot be talked to", str(error)) from error


def _refusal(code: str, what: str, status: int) -> JidokaError:
    if not CODE_PATTERN.fullmatch(code):
        return LinkError("LINK_FAILED", f"the coordinator answered with status {status}")
    kind = ConfigError if status in _BAD_REQUEST else RefusedError
    return kind(code, what, hint=_HINTS.get(code, ""))


def refused(code: str, otherwise: str, what: str, why: str, hint: str = "") -> RefusedError:
    """An agent's no. Its code is foreign text: what is no code gives way to ``otherwise``."""
    return RefusedError(code if CODE_PATTERN.fullmatch(code) else otherwise, what, why, hint)
