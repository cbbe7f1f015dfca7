"""``--set key=value``: one value of a manifest, typed by the struct it belongs to, with an error that names it."""

from __future__ import annotations

import difflib
import tomllib
from contextlib import suppress
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from edge.errors import InputError
from edge.models import plugins

_NOTHING = {"none", "null", ""}


def apply(document: dict[str, Any], assignments: list[str], kind: type[Any]) -> dict[str, Any]:
    """A manifest as nested dictionaries with every ``a.b=value`` in it. Raises InputError SET_WRONG."""
    for one in assignments:
        key, equals, text = one.partition("=")
        path = key.strip().split(".")
        if not equals or not all(path):
            raise _wrong(one, "it is not like input.color=bgr")
        if path == ["output", "head"]:
            # Another head has other parameters, and decides the task.
            model = {k: v for k, v in document.get("model", {}).items() if k != "task"}
            document = document | {"model": model, "output": {"head": text.strip()}}
            continue
        document = _put(document, path, _value(one, path, text.strip(), document, kind), one)
    return document


def _put(table: dict[str, Any], path: list[str], value: Any, said: str) -> dict[str, Any]:
    key, rest = path[0], path[1:]
    if not rest:
        return {k: v for k, v in table.items() if k != key} | ({} if value is None else {key: value})
    inner = table.get(key, {})
    if not isinstance(inner, dict):
        raise _wrong(said, f"{key} has no keys of its own")
    return table | {key: _put(inner, rest, value, said)}


def _value(said: str, path: list[str], text: str, document: dict[str, Any], kind: Any) -> Any:
    at: Any = document
    for depth, part in enumerate(path):
        tag = at.get("head") if isinstance(at, dict) else None
        kind = _step(said, kind, part, path[:depth], tag)
        at = at.get(part) if isinstance(at, dict) else None
    return _converted(said, text, kind)


def _step(said: str, kind: Any, part: str, above: list[str], tag: Any) -> Any:
    """The type of what a key of a struct or dictionary holds."""
    inner = _plain(kind)
    members = (
        [_plain(one) for one in get_args(inner)] if not _is_struct(inner) and get_origin(inner) is not dict else []
    )
    if members:
        structs = [one for one in members if _is_struct(one)]
        named = [one for one in structs if one.__struct_config__.tag == tag]
        inner = (named or structs or members)[0]
        if tag is not None and not named and tag in plugins.names():
            inner = plugins.load(tag).Options
    if get_origin(inner) is dict:
        return get_args(inner)[1]
    if not _is_struct(inner):
        raise _wrong(said, f"{'.'.join(above)} has no keys of its own")
    known = {field.encode_name: field.type for field in msgspec.structs.fields(inner)}
    if part not in known:
        near = difflib.get_close_matches(part, known, n=1)
        hint = f"did you mean {'.'.join([*above, near[0]])!r}?" if near else f"known: {', '.join(sorted(known))}"
        raise _wrong(said, f"there is no key {part!r}{' in ' + '.'.join(above) if above else ''}", hint)
    return known[part]


def _plain(kind: Any) -> Any:
    return _plain(get_args(kind)[0]) if get_origin(kind) is Annotated else kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _converted(said: str, text: str, kind: Any) -> Any:
    """The text as TOML has it, or as it stands where the key takes text."""
    if text.lower() in _NOTHING and _takes(None, kind):
        return None
    candidates: list[Any] = []
    with suppress(tomllib.TOMLDecodeError, ValueError, RecursionError):
        candidates.append(tomllib.loads(f"value = {text}")["value"])
    candidates.append(text)
    problem = ""
    for candidate in candidates:
        try:
            msgspec.convert(candidate, kind)
        except msgspec.ValidationError as error:
            problem = problem or str(error).partition(" - at ")[0]
            continue
        return candidate
    if get_origin(_plain(kind)) is Literal:
        problem = f"it is one of {', '.join(map(str, get_args(_plain(kind))))}"
    raise _wrong(said, problem[:1].lower() + problem[1:])


def _takes(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _wrong(said: str, why: str, hint: str = "") -> InputError:
    return InputError("SET_WRONG", f"--set {said[:120]}", why, hint or "keys are those of model.toml, with dots")
