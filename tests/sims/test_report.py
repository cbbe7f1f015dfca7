"""The report: one file, complete, nothing from outside, and what was missed is shown."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.domain import Decision
from edge.errors import StoreError
from sims.faults import Fault
from sims.line import PartTruth, Written
from sims.parts import Part, grade, make_parts
from sims.report import Told, as_html, write_report
from sims.report_pictures import Shelf, mark, shelves
from sims.report_svg import recall, timeline
from sims.score import check, judge, score
from sims.score_model import Outcome, PartFact, Report, Row
from sims.world import Fate

CODES = {"pass": 1, "fail": 2, "unsure": 3}
LIMITS = {"escapes": 0, "overkill_pct": 50.0, "parts_min": 3}


def picture(value: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((480, 640, 3), value, np.uint8))[1].tobytes())


def run(parts: tuple[Part, ...], decisions: dict[int, Decision], nobody: set[int] = frozenset()) -> list[Outcome]:
    """Every part judged rightly but for ``decisions``; ``nobody`` inspected those."""
    truth, rows = [], []
    for i, part in enumerate(parts):
        right: Decision = "fail" if grade(part) == "reject" else "pass"
        decision: Decision = "none" if i in nobody else decisions.get(i, right)
        fate: Fate = "passed" if decision == "pass" else "rejected"
        written = () if i in nobody else (Written(i * 10**8 + 10**7 * (2 + i % 5), CODES[decision]),)
        by = "no_verdict" if i in nobody else "verdict"
        code = CODES.get(decision, 0)
        truth.append(PartTruth(i, i + 1, i * 10**8, 0, written, code, "", by, fate, 0, agent_dead=False))
        if i not in nobody:
            rows.append(Row("log", i + 1, decision, 0, i + 1, i + 1, 1, i + 1))
    return judge([PartFact(i, grade(p)) for i, p in enumerate(parts)], truth, rows, {})


def page(outcomes: list[Outcome], parts: tuple[Part, ...], notes: tuple[str, ...] = ()) -> str:
    result = score(outcomes, [])
    report = Report("demo", "live", 7, check(result, LIMITS), result, None, None)
    rows = shelves(outcomes, parts, lambda _: None, lambda o: picture(o.truth.index % 200), lambda _: 0.0)
    faults = [(Fault("broker_restart", 0.2, 0.4), 0.2, 0.6), (Fault("camera_frozen", 0.3, 0.4), 0.3, 0.7)]
    return as_html(report, Told("a <line> & more", outcomes, faults, rows, notes, 2.0, "mosquitto"))


PARTS = make_parts(24, 5)
GOOD = [i for i, p in enumerate(PARTS) if grade(p) == "good"]
BAD = [i for i, p in enumerate(PARTS) if grade(p) == "reject"]


def test_the_page_needs_nothing_from_outside_and_runs_nothing():
    html = page(run(PARTS, {BAD[0]: "pass", GOOD[0]: "fail"}), PARTS)
    assert not re.findall(r"""(?:src|href)\s*=\s*(?!["']?data:)""", html)
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert "a &lt;line&gt; &amp; more" in html


def test_what_was_missed_is_shown_first():
    html = page(run(PARTS, {BAD[0]: "pass", GOOD[0]: "fail"}), PARTS)
    assert "1 of 3 goals missed" in html
    assert html.index("Escapes (1)") < html.index("Overkill (1)")
    assert f"part {BAD[0] + 1}: pass, passed" in html
    assert html.count("data:image/jpeg") >= 2


def test_a_clean_run_says_so():
    html = page(run(PARTS, {}), PARTS, notes=("the broker is small",))
    assert "All goals met" in html
    assert "Escapes (" not in html
    assert "the broker is small" in html


def test_an_empty_run_still_makes_a_page():
    assert "0" in page([], ())


def test_the_timeline_is_valid_svg_with_one_mark_a_part():
    outcomes = run(PARTS, {BAD[0]: "pass"}, nobody={3})
    svg = ET.fromstring(timeline(outcomes, [(Fault("plc_gone", 0.5, 1.0), 0.5, 1.5)], 2.4))
    marks = [one for one in svg if one.find("title") is not None]
    assert len(marks) == len(PARTS)
    assert [one.get("class") for one in marks].count("escape") == 1
    assert [one.get("class") for one in marks].count("none") == 1
    bands = [one for one in svg if one.get("class") == "band"]
    assert [round(float(band.get("width", "0"))) for band in bands] == [round((1040 - 64) / 2.4)]


def test_recall_bars_are_as_high_as_what_was_found():
    outcomes = run(PARTS, {})
    assert "No defect" in recall(score(outcomes, []).recall)


def test_the_true_box_is_drawn_where_the_part_stood():
    marked = mark(picture(0), [("pit", (100, 100, 120, 120))], offset_px=50.0)
    image = cv2.imdecode(np.frombuffer(marked, np.uint8), cv2.IMREAD_COLOR)
    assert image[94:127, 144:147].max() > 120
    assert image[94:127, 94:97].max() < 60


def test_the_slowest_are_the_slowest():
    outcomes = run(PARTS, {})
    rows = shelves(outcomes, PARTS, lambda _: None, lambda _: picture(9), lambda _: 0.0)
    slow: Shelf = next(row for row in rows if row.title == "Slowest verdicts")
    worst = max(o.truth.latency_ms or 0 for o in outcomes)
    assert f"{worst:.1f} ms" in slow.pictures[0].title


def test_a_report_that_cannot_be_written_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("")
    result = score([], [])
    report = Report("x", "live", 1, (), result, None, None)
    with pytest.raises(StoreError, match="REPORT_UNWRITABLE"):
        write_report(report, Told("", [], [], [], [], 0.0, ""), tmp_path / "file" / "report.html")
