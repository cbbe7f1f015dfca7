"""``jidoka fleet`` and ``jidoka coordinator`` as a person or a script calls them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli.fleet import ago
from edge.cli.main import main
from edge.coordinator.ledger import SqlLedger
from tests.coordinator.serving import Serving, closed_port

WAIT_S = 20.0


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    made = Serving(tmp_path)
    yield made
    made.close()


def test_the_list_and_one_of_it(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "ls", "--url", serving.url]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[1].split("\t")[:2] == ["cell-1", "unknown"]
    assert "no connection" in told.err
    assert main(["fleet", "ls", "--url", serving.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["agents"][0]["agent"] == "cell-1"
    assert main(["fleet", "show", "cell-1", "--url", serving.url]) == 0
    assert "model.version\t1.2.0" in capsys.readouterr().out


def test_settings_are_typed_and_waited_for(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["fleet", "set", "cell-1", "threshold=0.7", "on=true", "recipe=plates", "--wait", "0", "--json"]
    assert main([*args, "--url", serving.url]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["rev"], answer["settings"]) == (1, "waiting")
    assert main(["fleet", "show", "cell-1", "--json", "--url", serving.url]) == 0
    assert json.loads(capsys.readouterr().out)["desired"] == {"threshold": 0.7, "on": True, "recipe": "plates"}
    assert main(["fleet", "set", "cell-1", "on=", "--wait", "0", "--url", serving.url]) == 0
    assert capsys.readouterr().out == "revision 2: waiting\n"


def test_mistakes_are_one_line(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    cases = (
        (["show", "nobody"], 5, "AGENT_UNKNOWN"),
        (["show", "a/../b"], 5, "NOT_FOUND"),
        (["set", "cell-1", "threshold"], 3, "SETTING_WRONG"),
        (["ask", "cell-1", "ping"], 5, "AGENT_OFFLINE"),
        (["ls", "--url", f"127.0.0.1:{closed_port()}"], 5, "LINK_REFUSED"),
    )
    for args, status, code in cases:
        own = [] if "--url" in args else ["--url", serving.url]
        assert main(["fleet", *args, *own]) == status, args
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith(f"{code}: "), last


def test_spans_are_said_in_one_unit() -> None:
    assert [ago(ms) for ms in (-5, 4_999, 125_000, 7_300_000, 9 * 86_400_000)] == ["0 s", "4 s", "2 min", "2 h", "9 d"]


def test_copies_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db, copy = str(tmp_path / "ledger.db"), str(tmp_path / "copy.db")
    SqlLedger(f"sqlite:///{db}").close()
    assert main(["coordinator", "backup", copy, "--db", db, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] > 0
    assert main(["coordinator", "backup", copy, "--db", db]) == 3
    assert main(["coordinator", "restore", copy, "--db", db, "--data", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ledger"]


def test_a_coordinator_that_cannot_start_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.db"
    bad.write_text("x" * 4096)
    cases = (
        (["--site", "a/+#"], 3, "ID_WRONG"),
        (["--http", "0.0.0.0:0"], 3, "HTTP_NOT_LOOPBACK"),
        (["--db", str(bad)], 6, "STORE_UNREADABLE"),
        (["--keys", str(tmp_path / "none")], 3, "SECRET_UNREADABLE"),
        (["--broker", "ftp://x"], 3, "BROKER_URL_WRONG"),
        (["--broker", "mqtt://x", "--start-broker", "auto"], 3, "BROKER_TWICE"),
        (["--broker", "mqtts://x", "--tls-ca", str(bad)], 3, "TLS_FILE_UNUSABLE"),
    )
    for args, status, code in cases:
        assert main(["coordinator", "--data", str(tmp_path), "--http", "127.0.0.1:0", *args]) == status, args
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith(f"{code}: "), last


@pytest.mark.live
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_process_says_when_it_serves_and_stops_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals, status: int
) -> None:
    command = [sys.executable, "-m", "edge.cli.main", "coordinator", "--start-broker", "auto", "--broker-port", "0"]
    command += ["--data", str(tmp_path), "--http", "127.0.0.1:0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            assert main(["fleet", "ls", "--url", ready["url"], "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["connected"]
        finally:
            process.send_signal(number)
        _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == status, errors
    assert "Traceback" not in errors
    assert set(ready) == {"url", "broker", "ledger"}
