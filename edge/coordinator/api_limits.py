"""What the HTTP API takes at most, and how it reads times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.errors import ConfigError

MAX_BODY_BYTES: Final = 64 * 1024
_MAX_UTC_MS: Final = 2**53


class BodyLimit:
    """ASGI middleware: a request whose body is larger is answered with 413, however it announces its length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A small body may as well be read whole before the application runs; a large one is never read whole.
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAX_BODY_BYTES:
                error = {"code": "BODY_TOO_LARGE", "what": f"a body has at most {MAX_BODY_BYTES} bytes"}
                await JSONResponse({"error": error}, 413)(scope, receive, send)
                return
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


def parse_time(text: str | None) -> int | None:
    """UTC ms of ``1764000000000`` or ``2026-11-24T08:00``; ISO times without a zone are UTC. Raises ConfigError."""
    if not text:
        return None
    if text.isascii() and text.isdigit() and int(text) < _MAX_UTC_MS:
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        hint = "write UTC milliseconds, or 2026-11-24T08:00"
        raise ConfigError("TIME_WRONG", f"{text!r} is not a time", hint=hint) from error
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
