"""The HTTP API as its users meet it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edge.coordinator.http import HttpServer, parse_bind
from edge.errors import JidokaError
from edge.messages import Result
from tests.coordinator.serving import Serving, result

both = pytest.mark.parametrize("serving", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def serving(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Serving]:
    """On SQLite, unless the test is for ``both``."""
    on_postgres = getattr(request, "param", "") == "postgres"
    made = Serving(tmp_path, request.getfixturevalue("postgres_url") if on_postgres else "")
    yield made
    made.close()


@pytest.fixture
def http(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.url, trust_env=False) as client:
        yield client


@both
def test_the_fleet_is_remembered_from_before(http: httpx.Client) -> None:
    whole = http.get("/v1/fleet").json()
    assert (whole["site"], [agent["agent"] for agent in whole["agents"]]) == ("hall", ["cell-1"])
    one = http.get("/v1/fleet/cell-1").json()
    assert (one["status"], one["boot_no"], one["model"]["version"], one["settings"]) == ("unknown", 2, "1.2.0", "none")
    assert whole["agents"] == [one]


def test_health_says_why_not(http: httpx.Client) -> None:
    answer = http.get("/healthz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert "broker" in answer.json()["why_not"][0]


@both
def test_settings_are_wanted_with_a_revision(http: httpx.Client) -> None:
    put = http.put("/v1/fleet/cell-1/settings", json={"settings": {"threshold": 0.7, "on": True, "recipe": "b"}})
    assert (put.status_code, put.json()) == (200, {"agent": "cell-1", "rev": 1})
    assert http.patch("/v1/fleet/cell-1/settings", json={"settings": {"recipe": None}}).json()["rev"] == 2
    one = http.get("/v1/fleet/cell-1").json()
    assert (one["desired"], one["desired_rev"], one["settings"]) == ({"threshold": 0.7, "on": True}, 2, "waiting")
    assert one["differs"] == [
        {"name": "on", "wanted": True, "has": None},
        {"name": "threshold", "wanted": 0.7, "has": 0.5},
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("PUT", "/v1/fleet/nobody/settings", {"settings": {}}, 404, "AGENT_UNKNOWN"),
        ("GET", "/v1/fleet/nobody", None, 404, "AGENT_UNKNOWN"),
        ("GET", "/v1/fleet/a%2Bb", None, 422, "REQUEST_INVALID"),
        ("PUT", "/v1/fleet/cell-1/settings", {"settings": {"x": [1]}}, 422, "REQUEST_INVALID"),
        ("PUT", "/v1/fleet/cell-1/settings", {}, 422, "REQUEST_INVALID"),
        ("PUT", "/v1/fleet/cell-1/settings", {"settings": {"x": "y" * 70_000}}, 413, "BODY_TOO_LARGE"),
        ("PUT", "/v1/fleet/cell-1/settings", {"settings": {"x": "y" * 40_000}}, 413, "MESSAGE_TOO_LARGE"),
        ("POST", "/v1/fleet/cell-1/asks", {"op": "ping"}, 409, "AGENT_OFFLINE"),
        ("POST", "/v1/fleet/cell-1/asks", {"op": "ping", "ttl_s": 1e9}, 422, "REQUEST_INVALID"),
        ("GET", "/v1/results?since=yesterday", None, 422, "TIME_WRONG"),
        ("GET", "/v1/results?limit=100000", None, 422, "REQUEST_INVALID"),
        ("GET", f"/v1/results?cursor={10**30}", None, 422, "REQUEST_INVALID"),
        ("GET", "/v1/results?agent=a%00b", None, 422, "REQUEST_INVALID"),
        ("GET", "/v1/evidence/9.jpg", None, 404, "NOT_FOUND"),
        ("GET", "/v1/nothing", None, 404, "NOT_FOUND"),
        ("DELETE", "/v1/fleet", None, 405, "METHOD_UNKNOWN"),
    ],
)
def test_what_is_refused_has_a_code(http: httpx.Client, method, path, body, status: int, code: str) -> None:
    answer = http.request(method, path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["what"]


def test_a_foreign_host_name_or_a_text_body_is_refused(http: httpx.Client) -> None:
    assert http.get("/v1/fleet", headers={"Host": "evil.example"}).status_code == 400
    text = http.put("/v1/fleet/cell-1/settings", content='{"settings":{}}', headers={"Content-Type": "text/plain"})
    assert text.status_code == 422


@both
def test_results_by_filter(serving: Serving, http: httpx.Client) -> None:
    serving.fill()

    def parts(query: str) -> list[int]:
        return [row["part_no"] for row in http.get(f"/v1/results?{query}").json()["results"]]

    assert parts("") == [99, *range(20, 0, -1)]
    assert parts("decision=fail&order=oldest") == [5, 10, 15, 20]
    assert parts("agent=cell-2") == parts("source=top") == parts("decision=unsure") == parts("part_no=99") == [99]
    assert (
        parts("since=19000&agent=cell-1") == parts("since=1970-01-01T00:00:19&until=1970-01-01T00:00:21Z") == [20, 19]
    )
    assert parts("until=2000") == [1]
    assert parts("log=other") == []
    row = http.get("/v1/results?part_no=5").json()["results"][0]
    assert (row["site"], row["agent"], row["log"], row["seq"]) == ("hall", "cell-1", "log1", 5)
    assert row["findings"] == [
        {
            "label": "=scratch",
            "score": 0.9,
            "xyxy": [1, 2, 3, 4],
            "area_px": 4,
            "area_mm2": None,
            "zone": None,
            "text": "",
        }
    ]
    assert (row["reasons"][0]["limit"], row["latency_ms"], row["model_version"]) == (0.5, {"total": 7.5}, "1.2.0")
    assert row["values"] == {"gap_mm": 2.5}
    assert [(view["source"], view["frames"], view["findings"]) for view in row["views"]] == [
        ("cam", 1, 1),
        ("side", 0, 0),
    ]


@both
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_neither_skip_nor_repeat_while_rows_arrive(serving: Serving, http: httpx.Client, order: str) -> None:
    serving.fill()
    seen: list[int] = []
    cursor = ""
    for step in range(50):
        page = http.get(f"/v1/results?limit=4&order={order}&agent=cell-1{cursor}").json()
        seen += [row["part_no"] for row in page["results"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
        if step < 3:
            serving.keep("results", 21 + step, result(1000 + step))
    late = [1000, 1001, 1002]
    assert seen == ([*range(1, 21), *late] if order == "oldest" else list(range(20, 0, -1)))


@both
def test_events_and_pictures(serving: Serving, http: httpx.Client) -> None:
    serving.fill()
    (event,) = http.get("/v1/events?level=alarm").json()["events"]
    assert (event["code"], event["data"]) == ("CAMERA_GONE", {"n": 1})
    assert http.get("/v1/events?code=OTHER_CODE").json()["events"] == []
    (picture,) = http.get("/v1/evidence?decision=fail").json()["evidence"]
    assert (picture["part_no"], picture["size_bytes"], picture["width_px"]) == (5, 9, 64)
    jpeg = http.get(f"/v1/evidence/{picture['id']}.jpg")
    assert (jpeg.content, jpeg.headers["content-type"]) == (b"\xff\xd8picture", "image/jpeg")
    assert jpeg.headers["x-content-type-options"] == "nosniff"


@both
def test_prometheus_reads_it(serving: Serving, http: httpx.Client) -> None:
    serving.fill()
    lines = http.get("/metrics").text.splitlines()
    assert 'jidoka_ledger_rows{table="results"} 21' in lines
    assert 'jidoka_agents{site="hall",status="unknown"} 1' in lines
    assert 'jidoka_connected{site="hall"} 0' in lines
    named = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(named) == len(set(named))


def test_the_openapi_document_names_every_path(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    wanted = "/v1/fleet /v1/fleet/{agent} /v1/fleet/{agent}/settings /v1/fleet/{agent}/asks /v1/results /v1/events"
    assert {*wanted.split(), "/v1/evidence", "/v1/evidence/{evidence_id}.jpg", "/healthz", "/metrics"} == set(paths)


def test_the_page_loads_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text


def test_binding_beyond_loopback_must_be_meant() -> None:
    assert parse_bind("[::1]:0", insecure=False) == ("::1", 0)
    assert parse_bind(":81", insecure=False) == ("127.0.0.1", 81)
    assert parse_bind("0.0.0.0:81", insecure=True) == ("0.0.0.0", 81)
    for text, code in (
        ("0.0.0.0:81", "HTTP_NOT_LOOPBACK"),
        ("host:81", "HTTP_NOT_LOOPBACK"),
        ("81", "HTTP_BIND_WRONG"),
    ):
        with pytest.raises(JidokaError) as caught:
            parse_bind(text, insecure=False)
        assert caught.value.code == code


def test_a_taken_port_is_said(serving: Serving) -> None:
    with pytest.raises(JidokaError) as caught:
        HttpServer("127.0.0.1", int(serving.url.rpartition(":")[2]))
    assert caught.value.code == "PORT_TAKEN"


@both
def test_numbers_too_large_for_the_database_do_not_stop_the_stream(serving: Serving) -> None:
    serving.keep("results", 1, Result("pass", 2**80, "cam", 1, 1, 1), result(2))
    (row,) = serving.service.ledger.positions("hall", "cell-1", "log1")
    assert row.upto == 2
