"""Where in a TOML file a key stands: the standard library's parser gives values but no lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

Path = tuple[str | int, ...]
"""The way to a value: table and key names, and indices in arrays of tables."""

_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=""")
_NOT_CODE = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|#.*""")
"""Strings and comments of one line: brackets in them open nothing."""
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")


class Locator:
    """Remembers the 1-based line of every table header and key of one TOML text."""

    def __init__(self, text: str, name: str = "") -> None:
        self.name = name
        self._lines: dict[Path, int] = {}
        for path, line in _walk(text):
            self._lines.setdefault(path, line)

    def line_of(self, path: Path) -> int:
        """The line of ``path``, or of the nearest table or key above it (an inline table is one line); 0 if none."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return 0

    def where(self, path: Path) -> str:
        """``agent.toml line 12``, or just the name where the line is not known."""
        line = self.line_of(path)
        return f"{self.name} line {line}" if line else self.name


def dotted(path: Path) -> str:
    """``sources.cam.options`` as a person writes it."""
    return ".".join(str(part) for part in path)


def _walk(text: str) -> Iterator[tuple[Path, int]]:
    table: Path = ()
    counts: dict[Path, int] = {}
    inside = ""  # the quotes that end a multi-line string we are in
    depth = 0  # brackets of an array that goes on over several lines
    for number, line in enumerate(text.splitlines(), start=1):
        if inside:
            inside = "" if inside in line else inside
            continue
        if depth > 0:
            depth += _deeper(line)
            continue
        header = _HEADER.match(line)
        key = None if header else _KEY.match(line)
        if header:
            table = _resolve(_parts(header[2]), counts, array=header[1] == "[[")
            yield table, number
        elif key:
            path = table + _parts(key[1])
            yield path, number
            inside = _opens(line[key.end() :])
            depth = 0 if inside else _deeper(line[key.end() :])


def _parts(text: str) -> Path:
    return tuple(a or b or c for a, b, c in _PART.findall(text))


def _resolve(path: Path, counts: dict[Path, int], *, array: bool) -> Path:
    """Put the indices of arrays of tables into a header's path."""
    full: Path = ()
    for i, part in enumerate(path):
        full = (*full, part)
        last = i == len(path) - 1
        if last and array:
            counts[full] = counts.get(full, -1) + 1
        if full in counts:
            full = (*full, counts[full])
    return full


def _opens(value: str) -> str:
    for quotes in ('"""', "'''"):
        if value.count(quotes) == 1:
            return quotes
    return ""


def _deeper(value: str) -> int:
    """How many more brackets a line opens than it closes."""
    code = _NOT_CODE.sub("", value)
    return code.count("[") - code.count("]")
