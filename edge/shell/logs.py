"""One line a change: JSON where a machine reads it, colour where a person does."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO

import msgspec

from edge.messages import Scalar

LogLevel = Literal["debug", "info", "warning", "error"]
Logger = Callable[[LogLevel, str, str, Mapping[str, Scalar]], None]
"""``log(level, code, text, data)``; from any thread, never raises."""

LEVELS: tuple[LogLevel, ...] = ("debug", "info", "warning", "error")
_COLORS = {"debug": "\x1b[2m", "info": "\x1b[36m", "warning": "\x1b[33m", "error": "\x1b[31;1m"}
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_encode = msgspec.json.Encoder().encode


def make_logger(
    stream: TextIO | None = None, *, least: LogLevel = "info", utc_ns: Callable[[], int] = time.time_ns
) -> Logger:
    """A logger that writes to ``stream`` (standard error by default). ``NO_COLOR`` in the environment is obeyed."""
    target = sys.stderr if stream is None else stream
    person = target.isatty()
    color = person and not os.environ.get("NO_COLOR")
    lock = threading.Lock()

    def log(level: LogLevel, code: str, text: str, data: Mapping[str, Scalar]) -> None:
        if LEVELS.index(level) < LEVELS.index(least):
            return
        line = (
            for_person(utc_ns(), level, code, text, data, color=color)
            if person
            else as_json(utc_ns(), level, code, text, data)
        )
        try:
            with lock:
                target.write(line + "\n")
                target.flush()
        except (OSError, ValueError):
            # Nobody reads any more (a closed pipe, a full disk): no reason to stop inspecting.
            return

    return log


def as_json(utc_ns: int, level: LogLevel, code: str, text: str, data: Mapping[str, Scalar]) -> str:
    """One JSON object on one line: ``{"utc", "level", "code", "text", …data}``; data never hides the first four."""
    head = {"utc": _stamp(utc_ns), "level": level, "code": code, "text": text}
    return _encode(head | {key: value for key, value in data.items() if key not in head}).decode()


def for_person(utc_ns: int, level: LogLevel, code: str, text: str, data: Mapping[str, Scalar], *, color: bool) -> str:
    """Time of day, level, text and code on one line; control characters cannot reach the terminal."""
    clock = datetime.fromtimestamp(utc_ns / 1e9, UTC).astimezone().strftime("%H:%M:%S")
    more = "".join(f" {key}={value}" for key, value in data.items())
    said, tail = _one_line(text), _one_line(f"{code}{more}")
    if not color:
        return f"{clock} {level:7} {said}  [{tail}]"
    return f"{_DIM}{clock}{_PLAIN} {_COLORS[level]}{level:7}{_PLAIN} {said}  {_DIM}[{tail}]{_PLAIN}"


def _stamp(utc_ns: int) -> str:
    return (
        datetime.fromtimestamp(utc_ns // 1_000_000 / 1e3, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
