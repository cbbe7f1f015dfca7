"""status: finds the agent by its page file, and says which of the three things is wrong when it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from edge.cli.main import main
from edge.cli.status import address, lines
from edge.errors import LinkError

DOCUMENT = {
    "agent": "cell-3",
    "ready": False,
    "why_not": ["source camera is away"],
    "counters": {"parts": 12, "fail": 3},
    "pictures": [{"frame_no": 7, "decision": "fail"}, {"frame_no": 6, "decision": "pass"}],
    "rate": 12345.678,
    "model": None,
}


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(DOCUMENT).encode() if self.path == "/status.json" else b"<html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_json_is_the_whole_document(port, tmp_path: Path, capsys) -> None:
    (tmp_path / "page.json").write_text(json.dumps({"port": port, "pid": os.getpid(), "url": "later fields are fine"}))
    assert main(["status", "--data-dir", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == DOCUMENT


def test_lines_for_a_person(port, capsys) -> None:
    assert main(["status", "--url", f"http://127.0.0.1:{port}/"]) == 0
    out = capsys.readouterr().out
    assert "ready     no" in out
    assert "why_not   source camera is away" in out
    assert "  - frame_no  7" in out
    assert "rate      12346" in out


def test_nested_values_keep_every_scalar() -> None:
    shown = "\n".join(lines(DOCUMENT))
    for word in ("cell-3", "12", "3", "7", "6", "pass"):
        assert word in shown


def test_no_agent_here(tmp_path: Path, capsys) -> None:
    assert main(["status", "--data-dir", str(tmp_path)]) == 5
    assert capsys.readouterr().err.startswith("AGENT_ABSENT: ")


@pytest.mark.parametrize("text", ["", "{}", '{"port": "x", "pid": 1}', "\xff"])
def test_a_page_file_that_is_none(tmp_path: Path, text) -> None:
    (tmp_path / "page.json").write_text(text)
    with pytest.raises(LinkError, match="AGENT_ABSENT"):
        address(tmp_path)


def test_an_agent_that_is_gone(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (tmp_path / "page.json").write_text(json.dumps({"port": 1, "pid": int(done.stdout)}))
    with pytest.raises(LinkError, match="AGENT_NOT_RUNNING"):
        address(tmp_path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://127.0.0.1:99999", "nonsense", "ftp://127.0.0.1:1/x"])
def test_nobody_answers(url, capsys) -> None:
    assert main(["status", "--url", url]) == 5
    assert capsys.readouterr().err.startswith("AGENT_UNREACHABLE: ")


def test_something_else_answers(port, capsys) -> None:
    assert main(["status", "--url", f"http://127.0.0.1:{port}/x"]) == 5
    assert capsys.readouterr().err.startswith("AGENT_MALFORMED: ")
