"""From TOML text to frozen structs, with errors that name the line and the likely word.

Used for the agent's settings, for a driver's or policy's own ``Options``, for bundles and for scenarios.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path as File
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from edge.config.locate import Locator, Path, dotted
from edge.errors import ConfigError

T = TypeVar("T")
MAX_TOML_BYTES = 1_000_000
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_UNIT = re.compile(r"_(s|ms|ns|us|px|mm|mm2|hz|pct|bytes|counts|m_s|fps)$")


def read_toml(file: File) -> tuple[dict[str, Any], Locator]:
    """Read and parse. Raises ConfigError CONFIG_ABSENT, CONFIG_UNREADABLE, CONFIG_SYNTAX."""
    try:
        if file.is_dir():
            raise ConfigError("CONFIG_UNREADABLE", f"{file} is a folder", hint="name the TOML file in it")
        data = file.read_bytes()
    except FileNotFoundError:
        raise ConfigError("CONFIG_ABSENT", f"there is no file {file}", hint="`jidoka init` writes a starter") from None
    except OSError as error:
        raise ConfigError("CONFIG_UNREADABLE", f"{file} cannot be read", str(error)) from error
    return parse_toml(data, file.name)


def parse_toml(data: bytes, name: str) -> tuple[dict[str, Any], Locator]:
    """Parse TOML of unknown origin. Raises ConfigError CONFIG_TOO_LARGE, CONFIG_SYNTAX."""
    if len(data) > MAX_TOML_BYTES:
        raise ConfigError("CONFIG_TOO_LARGE", f"{name} has {len(data)} bytes", f"the limit is {MAX_TOML_BYTES}")
    try:
        text = data.decode("utf-8-sig")  # editors of Windows put a mark before it
        return tomllib.loads(text), Locator(text, name)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        why = f"line {line} is not UTF-8"
        raise ConfigError("CONFIG_SYNTAX", f"{name} is not valid TOML", why, "save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError("CONFIG_SYNTAX", f"{name} is not valid TOML", str(error)) from error


def checked(data: Any, kind: type[T], locator: Locator, path: Path = ()) -> T:
    """``data`` as a ``kind``. Raises ConfigError CONFIG_UNKNOWN_KEY, CONFIG_MISSING_KEY, CONFIG_WRONG_VALUE."""
    _known_keys(data, inspect.type_info(kind), locator, path)
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise _explained(error, data, inspect.type_info(kind), locator, path) from error


def _known_keys(data: Any, info: inspect.Type, locator: Locator, path: Path) -> None:
    """Refuse the first key that no struct knows, wherever it is nested."""
    match info:
        case inspect.UnionType(types=types):
            for member in (one for one in types if _holds(data, one)):
                _known_keys(data, member, locator, path)
                return
        case inspect.StructType(fields=fields, tag_field=tag) if isinstance(data, dict):
            known = {field.encode_name: field.type for field in fields}
            if tag is not None:
                known[tag] = inspect.StrType()
            for key, value in data.items():
                if key not in known:
                    raise _unknown(key, list(known), locator, path)
                _known_keys(value, known[key], locator, (*path, key))
        case inspect.DictType(value_type=inner) if isinstance(data, dict):
            for key, value in data.items():
                _known_keys(value, inner, locator, (*path, key))
        case inspect.ListType(item_type=inner) | inspect.VarTupleType(item_type=inner) if isinstance(data, list):
            for i, value in enumerate(data):
                _known_keys(value, inner, locator, (*path, i))
        case _:
            pass


def _holds(data: Any, info: inspect.Type) -> bool:
    """Whether ``info`` is what ``data`` may be checked as; of tagged structs only the one that is named."""
    if isinstance(data, dict):
        if isinstance(info, inspect.StructType) and info.tag_field is not None:
            return bool(data.get(info.tag_field) == info.tag)
        return isinstance(info, inspect.StructType | inspect.DictType)
    return isinstance(data, list) and isinstance(info, inspect.ListType | inspect.VarTupleType)


def _unknown(key: str, known: list[str], locator: Locator, path: Path) -> ConfigError:
    stem = _UNIT.sub("", key)
    same_stem = [name for name in known if _UNIT.sub("", name) == stem]
    near = same_stem or difflib.get_close_matches(key, known, n=1)
    table = f"[{dotted(path)}]" if path else "the top level"
    if same_stem and _UNIT.search(key):
        hint = f"it is in another unit here: write {near[0]!r} and convert the value"
    else:
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known)) or 'nothing'}"
    where = locator.where((*path, key))
    return ConfigError("CONFIG_UNKNOWN_KEY", f"{where}: unknown key {key!r} in {table}", hint=hint)


def _explained(
    error: msgspec.ValidationError, data: Any, info: inspect.Type, locator: Locator, path: Path
) -> ConfigError:
    message, _, at = str(error).partition(" - at `")
    steps = _STEP.findall(at.rstrip("`").removeprefix("$"))
    inner = _follow(data, [name or index for name, index in steps])
    full = (*path, *inner)
    where = locator.where(full)
    if "missing required field" in message:
        field = message.rsplit("`", 2)[-2]
        table = f"[{dotted(full)}]" if full else "the top level"
        return ConfigError("CONFIG_MISSING_KEY", f"{where}: {table} needs the key {field!r}")
    seen = _value_at(data, inner)
    if isinstance(seen, dict):
        # A rule between keys of a table: the whole table would fill the line, so the key it is about is pointed at.
        at_key = next((key for key in seen if re.search(rf"\b{re.escape(key)}\b", message)), None)
        where = locator.where(full if at_key is None else (*full, at_key))
        said_at = f"{where}: [{dotted(full)}]" if full else where
        return ConfigError("CONFIG_WRONG_VALUE", said_at, message[:1].lower() + message[1:])
    said = f"{dotted(full)} = {seen!r}" if full else repr(seen)[:80]
    why = _allowed(info, inner) or message[:1].lower() + message[1:]
    return ConfigError("CONFIG_WRONG_VALUE", f"{where}: {said[:120]}", why)


def _allowed(info: inspect.Type, path: Path) -> str:
    """What may stand at ``path``, where its type says it better than msgspec: choices, and texts with a rule."""
    match info:
        case inspect.Metadata(type=inner, extra_json_schema=extra):
            told = str((extra or {}).get("description", "")) if not path else ""
            return told or _allowed(inner, path)
        case inspect.UnionType(types=types):
            return next((text for one in types if (text := _allowed(one, path))), "")
        case inspect.LiteralType(values=values) if not path:
            return f"it is one of {', '.join(map(repr, values))}"
        case inspect.StructType(fields=fields) if path:
            return next((_allowed(one.type, path[1:]) for one in fields if one.encode_name == path[0]), "")
        case inspect.DictType(value_type=inner) if path:
            return _allowed(inner, path[1:])
        case inspect.ListType(item_type=inner) | inspect.VarTupleType(item_type=inner) if path:
            return _allowed(inner, path[1:])
        case _:
            return ""


def _follow(data: Any, steps: list[str]) -> Path:
    """Turn msgspec's path into keys of this very data; ``[...]`` (any dict value) becomes the key that fits no type."""
    found: Path = ()
    for step in steps:
        if isinstance(data, list) and step.isdigit():
            found, data = (*found, int(step)), data[int(step)]
        elif isinstance(data, dict) and step in data:
            found, data = (*found, step), data[step]
        elif isinstance(data, dict) and len(data) == 1:
            key = next(iter(data))
            found, data = (*found, key), data[key]
        else:
            break
    return found


def _value_at(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data
