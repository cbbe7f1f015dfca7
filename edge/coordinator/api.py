"""The HTTP API: JSON over the ledger and the fleet, with an OpenAPI document at ``/openapi.json``.

There are no users yet, so it binds to loopback, checks the Host header (a page in a browser could otherwise reach it
under a name of its own) and takes JSON bodies only, of at most ``MAX_BODY_BYTES``.
"""

from __future__ import annotations

import secrets
from importlib.resources import files
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import Body, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from edge.coordinator import api_models as shapes
from edge.coordinator.api_limits import BodyLimit, parse_time
from edge.coordinator.desk import Desk
from edge.coordinator.prometheus import metrics_text
from edge.coordinator.queries import MAX_PAGE, Filter, counts, jpeg, page
from edge.coordinator.service import Coordinator
from edge.domain import Decision
from edge.errors import JidokaError
from edge.events_fleet import Answer, AskWanted, FleetView, FleetWanted, SettingsWanted

ANSWER_S: Final = 10.0
_STATUS: Final = {
    "AGENT_UNKNOWN": 404,
    "AGENT_INVALID": 422,
    "AGENT_OFFLINE": 409,
    "ASK_EXPIRED": 504,
    "ASK_INVALID": 422,
    "MESSAGE_TOO_LARGE": 413,
    "TIME_WRONG": 422,
}
_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": shapes.ErrorOut} for status in (404, 409, 413, 422, 503, 504)
}
AgentId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
Cursor = Annotated[int | None, Query(ge=0, le=2**62, description="next_cursor of the page before")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Order = Annotated[Literal["newest", "oldest"], Query(description="which end the first page is of")]
Time = Annotated[str | None, Query(max_length=40, description="UTC ms, or ISO 8601")]
Text = Annotated[str, Query(max_length=64, pattern=r"^[^\x00]*$")]  # PostgreSQL's texts have no NUL


def make_api(service: Coordinator, hosts: list[str]) -> FastAPI:
    """The application. ``hosts`` are the names it answers to ("*" for any)."""
    app = FastAPI(
        title="Jidoka coordinator",
        version="1",
        docs_url=None,
        redoc_url=None,
        responses=_ERRORS,
        openapi_url="/openapi.json",
    )
    app.add_middleware(BodyLimit)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    app.add_exception_handler(JidokaError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_request)
    app.add_exception_handler(HTTPException, _refuse_http)
    _add_fleet(app, service.desk)
    _add_ledger(app, service)
    _add_pictures(app, service)
    _add_health(app, service)
    return app


class _RefusedError(JidokaError):
    """The core's answer was a refusal."""


def _ask_core(answer: Answer) -> Any:
    if answer.code:
        raise _RefusedError(answer.code, answer.what)
    return msgspec.to_builtins(answer.body)


def _fleet(desk: Desk) -> FleetView:
    answer = desk.request(FleetWanted, ANSWER_S)
    if not isinstance(answer.body, FleetView):
        raise _RefusedError(answer.code or "COORDINATOR_BUSY", answer.what)
    return answer.body


def _add_fleet(app: FastAPI, desk: Desk) -> None:
    @app.get("/v1/fleet", response_model=shapes.FleetOut, tags=["fleet"])
    def fleet() -> Any:
        """Every agent ever heard of."""
        return msgspec.to_builtins(_fleet(desk))

    @app.get("/v1/fleet/{agent}", response_model=shapes.AgentOut, tags=["fleet"])
    def agent(agent: AgentId) -> Any:
        """One agent."""
        return _ask_core(desk.request(lambda n: FleetWanted(n, agent), ANSWER_S))

    def change(agent: str, wanted: shapes.SettingsIn, *, replace: bool) -> Any:
        answer = desk.request(lambda n: SettingsWanted(n, agent, dict(wanted.settings), replace), ANSWER_S)
        return {"agent": agent, "rev": _ask_core(answer)["body"]["rev"]}

    @app.put("/v1/fleet/{agent}/settings", response_model=shapes.SettingsOut, tags=["fleet"])
    def put_settings(agent: AgentId, wanted: Annotated[shapes.SettingsIn, Body()]) -> Any:
        """Want exactly these settings; all others go back to the agent's own file."""
        return change(agent, wanted, replace=True)

    @app.patch("/v1/fleet/{agent}/settings", response_model=shapes.SettingsOut, tags=["fleet"])
    def patch_settings(agent: AgentId, wanted: Annotated[shapes.SettingsIn, Body()]) -> Any:
        """Change these settings and leave the others; null removes one."""
        return change(agent, wanted, replace=False)

    @app.post("/v1/fleet/{agent}/asks", response_model=shapes.ReplyOut, tags=["fleet"])
    def ask(agent: AgentId, wanted: Annotated[shapes.AskIn, Body()]) -> Any:
        """Have an agent do something once, and wait for its reply up to ``ttl_s``."""
        ask_id = secrets.token_hex(8)
        answer = desk.request(
            lambda n: AskWanted(n, ask_id, agent, wanted.op, wanted.ttl_s, dict(wanted.args)), wanted.ttl_s + ANSWER_S
        )
        return _ask_core(answer)


def _add_ledger(app: FastAPI, service: Coordinator) -> None:
    engine = service.ledger.engine

    @app.get("/v1/results", response_model=shapes.ResultsPage, tags=["ledger"])
    def results(
        agent: Text = "",
        log: Text = "",
        decision: Decision | None = None,
        source: Text = "",
        part_no: Annotated[int | None, Query(ge=0, le=2**32)] = None,
        since: Time = None,
        until: Time = None,
        cursor: Cursor = None,
        limit: Limit = 100,
        order: Order = "newest",
    ) -> Any:
        """Verdicts."""
        wanted = Filter(agent, log, decision, source, part_no, parse_time(since), parse_time(until))
        found = page(engine, "results", wanted, cursor=cursor, limit=limit, order=order)
        return {"results": found.rows, "next_cursor": found.next_cursor}

    @app.get("/v1/events", response_model=shapes.EventsPage, tags=["ledger"])
    def events(
        agent: Text = "",
        level: Annotated[Literal["info", "warning", "alarm"] | None, Query()] = None,
        code: Text = "",
        since: Time = None,
        until: Time = None,
        cursor: Cursor = None,
        limit: Limit = 100,
        order: Order = "newest",
    ) -> Any:
        """Alarms, faults and changes."""
        wanted = Filter(
            agent, level=level or "", code=code, since_utc_ms=parse_time(since), until_utc_ms=parse_time(until)
        )
        found = page(engine, "events", wanted, cursor=cursor, limit=limit, order=order)
        return {"events": found.rows, "next_cursor": found.next_cursor}


def _add_pictures(app: FastAPI, service: Coordinator) -> None:
    engine = service.ledger.engine

    @app.get("/v1/evidence", response_model=shapes.EvidencePage, tags=["ledger"])
    def evidence(
        agent: Text = "",
        decision: Decision | None = None,
        source: Text = "",
        part_no: Annotated[int | None, Query(ge=0, le=2**32)] = None,
        ask_id: Text = "",
        since: Time = None,
        until: Time = None,
        cursor: Cursor = None,
        limit: Limit = 100,
        order: Order = "newest",
    ) -> Any:
        """Pictures, without their pixels."""
        wanted = Filter(agent, "", decision, source, part_no, parse_time(since), parse_time(until), ask_id=ask_id)
        found = page(engine, "evidence", wanted, cursor=cursor, limit=limit, order=order)
        return {"evidence": found.rows, "next_cursor": found.next_cursor}

    @app.get("/v1/evidence/{evidence_id}.jpg", response_class=Response, tags=["ledger"])
    def picture(evidence_id: Annotated[int, Path(ge=1, le=2**62)]) -> Response:
        """One picture. It never changes."""
        data = jpeg(engine, evidence_id)
        if data is None:
            raise HTTPException(404, "there is no such picture")
        headers = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(data, media_type="image/jpeg", headers=headers)


def _add_health(app: FastAPI, service: Coordinator) -> None:
    @app.get("/healthz", response_model=shapes.HealthOut, tags=["health"])
    def healthz(response: Response) -> Any:
        """200 while results are taken, else 503 with the reasons."""
        view = _fleet(service.desk)
        response.status_code = 503 if view.why_not else 200
        return {"ready": not view.why_not, "why_not": view.why_not, "site": view.site, "ledger": view.ledger}

    @app.get("/metrics", response_class=PlainTextResponse, tags=["health"])
    def metrics() -> Any:
        """For Prometheus."""
        view, carrier = _fleet(service.desk), service.carrier
        size_bytes = service.retention.size_bytes()
        commits, commit_s = (carrier.commits, carrier.commit_s) if carrier else (0, 0.0)
        text = metrics_text(view, counts(service.ledger.engine), size_bytes, commits, commit_s)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def start_page() -> Any:
        policy = "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
        html = (files("edge.coordinator") / "page.html").read_text(encoding="utf-8")
        return HTMLResponse(html, headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"})


def _body(code: str, what: str) -> dict[str, Any]:
    return {"error": {"code": code, "what": what}}


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, JidokaError)
    what = "; ".join(part for part in (error.what, error.why, error.hint) if part)
    return JSONResponse(_body(error.code, what), _STATUS.get(error.code, 503))


async def _refuse_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return JSONResponse(_body("REQUEST_INVALID", f"{where}: {first['msg']}"), 422)


async def _refuse_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "NOT_FOUND", 405: "METHOD_UNKNOWN"}.get(error.status_code, "REQUEST_INVALID")
    return JSONResponse(_body(code, str(error.detail)), error.status_code, headers=error.headers)
