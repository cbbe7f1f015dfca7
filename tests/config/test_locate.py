"""The locator agrees with the standard library's parser about what stands where, whatever the file looks like."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.locate import Locator, dotted

NAMES = st.text("abcdefgh_-0123456789", min_size=1, max_size=8)
QUOTED = st.text(st.characters(codec="utf-8", exclude_characters="\"'\\\n\r\t[]#=.", categories=("L", "N")), max_size=8)
VALUES = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.booleans().map(lambda b: str(b).lower()),
    st.sampled_from(['"plain"', "'x = 1'", '"[not.a.table]"', '"# no comment"', "[1, 2]", "{ a = 1 }", '"a\\"b = c"']),
)
COMMENTS = st.sampled_from(["", "  # why", "\t# x = 1", " # [table]"])


@st.composite
def documents(draw) -> tuple[str, dict[tuple[str, ...], int]]:
    """A TOML text, and the line of each key as it was written."""
    lines: list[str] = []
    where: dict[tuple[str, ...], int] = {}

    def keys(table: tuple[str, ...]) -> None:
        names = draw(st.lists(st.one_of(NAMES, QUOTED), max_size=5, unique=True))
        for name in names:
            if draw(st.booleans()):
                lines.append(draw(st.sampled_from(["", "# x = 1", "   "])))
            written = name if name and all(c in "abcdefgh_-0123456789" for c in name) else f'"{name}"'
            pad = draw(st.sampled_from(["", "  "]))
            lines.append(f"{pad}{written} = {draw(VALUES)}{draw(COMMENTS)}")
            where[*table, name] = len(lines)

    keys(())
    top = {path[0] for path in where}
    tables = draw(st.lists(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=4, unique=True))
    made: set[tuple[str, ...]] = set()
    for table in tables:
        clash = any(table[:i] in where for i in range(1, len(table) + 1)) or table[0] in top or table in made
        if clash:
            continue
        made.add(table)
        lines.append(f"[{' . '.join(table) if draw(st.booleans()) else '.'.join(table)}]{draw(COMMENTS)}")
        where.setdefault(table, len(lines))
        keys(table)
    return "\n".join(lines), where


@given(documents())
def test_every_key_is_found_on_its_line(document) -> None:
    text, where = document
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # a table that was already made by another key: the parser speaks before the locator is asked
    locator = Locator(text, "x.toml")
    for path, line in where.items():
        assert locator.line_of(path) == line, (dotted(path), text)


@given(documents(), st.lists(NAMES, min_size=1, max_size=3))
def test_an_absent_key_is_placed_at_its_nearest_table(document, extra) -> None:
    text, where = document
    locator = Locator(text, "x.toml")
    for path in where:
        deeper = (*path, "zzz-none", *extra)
        assert locator.line_of(deeper) == locator.line_of(path)


@given(st.text(max_size=400))
def test_any_text_is_survived(text) -> None:
    locator = Locator(text, "x.toml")
    assert locator.line_of(("a", 0, "b")) <= len(text.splitlines())


def test_arrays_of_tables_are_counted() -> None:
    text = "[[fault]]\nat_s = 1\n\n[[fault]]\nat_s = 2\n[fault.options]\nx = 1\n"
    locator = Locator(text, "s.toml")
    assert [locator.line_of(("fault", i, "at_s")) for i in (0, 1)] == [2, 5]
    assert locator.line_of(("fault", 1, "options", "x")) == 7


def test_keys_in_long_strings_are_not_keys() -> None:
    text = 'a = """\nb = 1\n[c]\n"""\nb = 2\n'
    locator = Locator(text, "s.toml")
    assert locator.line_of(("b",)) == 5
    assert locator.line_of(("c",)) == 0


def test_arrays_over_several_lines_hold_no_keys_and_no_tables() -> None:
    text = "[zone]\npolygon = [  # left, top\n  [1, 2],\n  [3, 4]\n]\nname = 'a]b'\nwords = [\n  '[x]', \"y = 1\",\n]\nz = 1\n"
    assert tomllib.loads(text)["zone"]["z"] == 1
    locator = Locator(text, "s.toml")
    found = [locator.line_of(("zone", key)) for key in ("polygon", "name", "words", "z")]
    assert found == [2, 6, 7, 10]
    assert locator.line_of(("3",)) == 0


def test_dotted_keys_and_inline_tables() -> None:
    text = "[t]\na.b = 1\noptions = { host = 'x', port = 2 }\n"
    locator = Locator(text, "s.toml")
    assert locator.line_of(("t", "a", "b")) == 2
    assert locator.line_of(("t", "options", "port")) == 3


@pytest.mark.parametrize(("path", "where"), [(("a",), "x.toml line 2"), (("nowhere",), "x.toml"), ((), "x.toml")])
def test_where_is_written_for_people(path, where) -> None:
    assert Locator("# first\na = 1\n", "x.toml").where(path) == where
