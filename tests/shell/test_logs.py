from __future__ import annotations

import io
import json
import threading

from hypothesis import given
from hypothesis import strategies as st

from edge.shell.logs import as_json, for_person, make_logger

NOON_NS = 1_763_899_200_123_456_789  # 2025-11-23T12:00:00.123Z


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_machine_reads_one_json_object_a_line():
    out = io.StringIO()
    log = make_logger(out, utc_ns=lambda: NOON_NS)
    log("info", "PART_UP", "camera is back", {"missed": 3})
    log("warning", "SLOW", "two\nlines", {})
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first == {
        "utc": "2025-11-23T12:00:00.123Z",
        "level": "info",
        "code": "PART_UP",
        "text": "camera is back",
        "missed": 3,
    }
    assert second["text"] == "two\nlines"


def test_a_person_reads_colour_unless_it_is_not_wanted():
    colored = for_person(NOON_NS, "error", "PLC_LOST", "the PLC is gone", {"tries": 2}, color=True)
    plain = for_person(NOON_NS, "error", "PLC_LOST", "the PLC is gone", {"tries": 2}, color=False)
    assert "\x1b[31;1m" in colored and "\x1b" not in plain
    assert plain.endswith("error   the PLC is gone  [PLC_LOST tries=2]")
    screen = Screen()
    make_logger(screen)("error", "PLC_LOST", "gone", {})
    assert "PLC_LOST" in screen.getvalue() and "{" not in screen.getvalue()


def test_what_is_less_important_is_left_out():
    out = io.StringIO()
    log = make_logger(out, least="warning")
    for level in ("debug", "info", "warning", "error"):
        log(level, "SOME_CODE", level, {})
    assert [json.loads(line)["text"] for line in out.getvalue().splitlines()] == ["warning", "error"]


@given(
    st.text(),
    st.dictionaries(
        st.text(max_size=9), st.text(max_size=9) | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False)
    ),
)
def test_nothing_in_a_line_breaks_it(text: str, data: dict):
    text = text.encode("utf-8", "replace").decode()
    line = as_json(NOON_NS, "info", "SOME_CODE", text, data)
    assert "\n" not in line
    read = json.loads(line)
    assert (read["text"], read["code"], read["level"]) == (text, "SOME_CODE", "info")
    shown = for_person(NOON_NS, "info", "SOME_CODE", text, data, color=False)
    assert shown.isprintable()


def test_a_closed_stream_stops_nothing():
    out = io.StringIO()
    log = make_logger(out)
    out.close()
    log("error", "SOME_CODE", "nobody reads", {})
    assert out.closed


def test_lines_of_many_threads_stay_whole():
    out = io.StringIO()
    log = make_logger(out)
    threads = [
        threading.Thread(target=lambda k=k: [log("info", "SOME_CODE", f"{k}", {"n": n}) for n in range(100)])
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert sorted((line["text"], line["n"]) for line in lines) == [(f"{k}", n) for k in range(4) for n in range(100)]
