"""``jidoka results export`` against a real API."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli.main import main
from tests.coordinator.serving import Serving, closed_port


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    made = Serving(tmp_path)
    made.fill()
    yield made
    made.close()


def export(serving: Serving, *args: str) -> int:
    return main(["results", "export", "--url", serving.url, *args])


def test_csv_on_stdout_oldest_first(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(serving) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["part_no"] for row in rows] == [str(n) for n in [*range(1, 21), 99]]
    fail = rows[4]
    assert (fail["decision"], fail["model_version"], fail["latency_total_ms"]) == ("fail", "1.2.0", "7.5")
    assert fail["labels"] == "'=scratch", "a spreadsheet must not run it as a formula"
    assert json.loads(fail["findings"])[0]["label"] == "=scratch"


def test_json_lines_with_filters_and_a_limit(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(serving, "--json", "--decision", "fail", "--limit", "3") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["part_no"], row["seq"], row["log"]) for row in rows] == [
        (5, 5, "log1"),
        (10, 10, "log1"),
        (15, 15, "log1"),
    ]
    assert export(serving, "--json", "--agent", "cell-2", "--since", "1970-01-01T00:01") == 0
    assert json.loads(capsys.readouterr().out)["part_no"] == 99
    assert export(serving, "--json", "--part-no", "7", "--source", "top") == 0
    assert capsys.readouterr().out == ""


def test_a_file_is_whole(serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "out.csv"
    assert export(serving, "--csv", str(file)) == 0
    assert len(file.read_text().splitlines()) == 22
    assert "21 results" in capsys.readouterr().err
    assert sorted(one.name for one in tmp_path.glob("out*")) == ["out.csv"]


def test_mistakes_are_one_line(serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = (
        (["--csv", str(tmp_path / "no" / "out.csv")], 3, "FILE_UNWRITABLE"),
        (["--since", "yesterday"], 3, "TIME_WRONG"),
        (["--decision", "maybe"], 2, "USAGE_WRONG"),
        (["--url", f"http://127.0.0.1:{closed_port()}"], 5, "LINK_REFUSED"),
        (["--url", "ftp://x"], 3, "URL_WRONG"),
    )
    for args, status, code in cases:
        assert export(serving, *args) == status, args
        told = capsys.readouterr()
        last = told.err.splitlines()[-1]
        assert last.startswith(f"{code}: "), last
        assert told.out == "", "no header of an answer that never came"
