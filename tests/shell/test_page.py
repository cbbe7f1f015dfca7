from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import LinkError
from edge.messages import Evidence
from edge.shell.evidence import Picture
from edge.shell.page import Page

JPEG = cv2.imencode(".jpg", np.full((30, 40, 3), 120, np.uint8))[1].tobytes()


class Agent:
    def __init__(self) -> None:
        self.status = {"agent": "cell-7", "ready": True, "why_not": [], "counters": {"pass": 3}, "made_ns": 1}
        self.held = [Picture(4, Evidence("cam", 12, 1_700_000_000_000, "fail", JPEG, part_id=9, decision="fail"))]


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
def page(agent: Agent) -> Iterator[Page]:
    page = Page(lambda: agent.status, lambda: agent.held)
    page.start()
    yield page
    page.close()
    page.close()


def ask(page: Page, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    line = http.client.HTTPConnection("127.0.0.1", page.port, timeout=5)
    try:
        line.request(method, path, headers=headers)
        answer = line.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        line.close()


def test_the_page_loads_nothing_from_elsewhere(page: Page):
    status, body, headers = ask(page, "/")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert b"http://" not in body and b"https://" not in body and b"//cdn" not in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_the_status_is_the_snapshot_and_the_pictures(page: Page, agent: Agent):
    status, body, _ = ask(page, "/status.json?x=1")
    document = json.loads(body)
    assert status == 200
    assert document["counters"] == {"pass": 3} and document["agent"] == "cell-7"
    (picture,) = document["pictures"]
    assert (picture["n"], picture["part_id"], picture["decision"]) == (4, 9, "fail")
    assert "pictures" not in agent.status


def test_a_picture_is_served_while_it_is_held(page: Page, agent: Agent):
    status, body, headers = ask(page, "/pictures/4.jpg")
    assert (status, body, headers["Content-Type"]) == (200, JPEG, "image/jpeg")
    agent.held = []
    assert ask(page, "/pictures/4.jpg")[0] == 404


def test_health_says_why_not(page: Page, agent: Agent):
    assert ask(page, "/healthz")[:2] == (200, b"ok\n")
    agent.status |= {"ready": False, "why_not": ["device plc is down", "paused"]}
    assert ask(page, "/healthz")[:2] == (503, b"device plc is down\npaused\n")
    agent.status = {}
    assert ask(page, "/healthz")[:2] == (503, b"not ready\n")


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/pictures/../page.py", "/pictures/x.jpg", "/pictures/9999999999999999.jpg", "/status.json/"],
)
def test_nothing_else_is_there(page: Page, path: str):
    assert ask(page, path)[0] == 404


def test_only_reading(page: Page):
    assert ask(page, "/", "HEAD")[:2] == (200, b"")
    for method in ("POST", "PUT", "DELETE"):
        assert ask(page, "/", method)[0] == 501


def test_a_foreign_name_for_this_machine_is_refused(page: Page):
    assert ask(page, "/status.json", Host=f"evil.example:{page.port}")[0] == 403
    assert ask(page, "/status.json", Host="localhost")[0] == 200


def test_only_loopback_listens(page: Page):
    assert page.url == f"http://127.0.0.1:{page.port}/"
    with socket.socket() as other:  # another address of this machine has the port free
        other.bind(("127.0.0.2", page.port))


def test_a_taken_port_is_one_clear_error(page: Page):
    with pytest.raises(LinkError, match=f"PORT_TAKEN: the status page cannot have port {page.port}"):
        Page(dict, list, port=page.port)


def test_garbage_and_silence_do_not_stop_it(page: Page):
    silent = socket.create_connection(("127.0.0.1", page.port))
    with socket.create_connection(("127.0.0.1", page.port)) as rude:
        rude.sendall(b"\x16\x03\x01\x02\x00\x01" * 50 + b"\r\n\r\n")
        rude.recv(100)
    assert ask(page, "/healthz")[0] == 200
    silent.close()


def test_answers_come_without_delay(page: Page):
    ask(page, "/healthz")
    before = time.monotonic()
    for _ in range(20):
        ask(page, "/status.json")
    # A delayed acknowledgement would cost 40 ms each, 0.8 s together.
    assert time.monotonic() - before < 0.6


@pytest.mark.live
def test_a_browser_shows_it(page: Page, agent: Agent):
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        pytest.skip("needs Chromium (Debian's package chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    agent.status |= {
        "ready": False,
        "why_not": ["<b>device plc</b> is down"],
        "devices": {"device plc": "down: PLC_LOST"},
    }
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        tab = browser.new_page()
        said: list[str] = []
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(page.url)
        tab.wait_for_selector("#why li")
        assert tab.inner_text("#agent") == "cell-7"
        assert tab.inner_text("#why") == "<b>device plc</b> is down"
        assert tab.inner_text("#ready") == "not ready"
        tab.wait_for_selector("figure")
        assert tab.inner_text("#tiles").split("\n")[0] == "3"
        browser.close()
    assert said == []
