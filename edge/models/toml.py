"""Writing the little TOML that a manifest needs: strings, numbers, flags, lists of these, tables, lists of tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

_WIDE = 110
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def lean(value: Any) -> Any:
    """A struct as a nested dictionary without what is as by default: what a person would write by hand."""
    if not isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, enc_hook=float)  # means and deviations come as numbers of numpy
    found: dict[str, Any] = {}
    config = value.__struct_config__
    if config.tag_field is not None:
        found[config.tag_field] = config.tag
    for field in msgspec.structs.fields(value):
        inner = getattr(value, field.name)
        if field.default is not msgspec.NODEFAULT and inner == field.default:
            continue
        if field.default_factory is not msgspec.NODEFAULT and inner == field.default_factory():
            continue
        if isinstance(inner, tuple | list):
            found[field.encode_name] = [lean(one) for one in inner]
        elif isinstance(inner, dict):
            found[field.encode_name] = {key: lean(one) for key, one in inner.items()}
        else:
            found[field.encode_name] = lean(inner)
    return found


def dump_toml(document: dict[str, Any]) -> str:
    """TOML 1.0 text of a nested dictionary; keys with value None are left out, as TOML knows no null."""
    return "\n".join(_table(document, ())).strip() + "\n"


def with_table(text: str, name: str, values: dict[str, Any]) -> str:
    """A person's TOML with these values in a table of simple keys, comments and order kept: None takes a key out. The
    table is begun at the end where it is not there. What this cannot see (keys over several lines, dotted keys) stays as
    it is: whoever needs to be sure reads the result.
    """
    lines = text.rstrip("\n").split("\n")
    headers = [i for i, line in enumerate(lines) if line.lstrip().startswith("[")]
    new = [f"{_key(key)} = {_value(value)}" for key, value in values.items() if value is not None]
    begin = next((i for i in headers if lines[i].split("#")[0].strip() == f"[{name}]"), None)
    if begin is None:
        return "\n".join([*lines, *(["", f"[{name}]", *new] if new else [])]) + "\n"
    end = next((i for i in headers if i > begin), len(lines))
    old = [line for line in lines[begin + 1 : end] if line.partition("=")[0].strip() not in values]
    # Blank lines before the next table stay before it.
    tail = len(old) - len([*_without_blank_end(old)])
    return "\n".join([*lines[: begin + 1], *old[: len(old) - tail], *new, *old[len(old) - tail :], *lines[end:]]) + "\n"


def _without_blank_end(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def _table(table: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    simple = {k: v for k, v in table.items() if v is not None and not _is_table(v) and not _is_tables(v)}
    for key, value in simple.items():
        yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        inner = (*path, key)
        name = ".".join(map(_key, inner))
        if _is_table(value) and value:
            # A table that holds nothing but tables needs no header of its own.
            if not all(_is_table(inner_value) and inner_value for inner_value in value.values()):
                yield f"\n[{name}]"
            yield from _table(value, inner)
        elif _is_tables(value):
            for row in value:
                yield f"\n[[{name}]]"
                yield from _table(row, inner)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(v, dict) for v in value)


def _filled(parts: list[str]) -> str:
    """Many values in lines of a readable length."""
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1]) + len(part) > _WIDE:
            lines.append("")
        lines[-1] += f" {part},"
    return "\n".join(f"   {line}" for line in lines)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    # JSON's escapes are a subset of TOML's basic strings, but for DEL and for characters outside the BMP, which
    # JSON writes as surrogate pairs when it must stay ASCII.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list | tuple):
        parts = list(map(_value, value))
        line = f"[{', '.join(parts)}]"
        return line if len(line) <= _WIDE else f"[\n{_filled(parts)}\n]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(f"TOML has no {type(value).__name__} here")
