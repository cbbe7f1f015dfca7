"""Which settings the coordinator may change: those declared with ``extra = {"remote": True}``, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, inspect

from edge.config.load import Loaded
from edge.domain import RemoteKey


def remote_settings(loaded: Loaded) -> tuple[RemoteKey, ...]:
    """All of one agent, sorted by name."""
    config = loaded.config
    recipes = ("default", *config.recipes)
    found = [RemoteKey("recipe", ("recipe",), "str", choices=recipes)] if config.recipes else []
    for name, source in config.sources.items():
        found += _declared(source, f"sources.{name}", ("sources", name))
    found += _declared(config.stop, "stop", ("stop",))
    found += _declared(config.evidence, "evidence", ("evidence",))
    for recipe, (_, options) in loaded.policies.items():
        table = "sensors" if recipe in config.sensors else "recipes"
        owner = config.sensors.get(recipe) or config.recipes.get(recipe)
        if owner is None or owner.policy is not None:
            name = "policy" if owner is None else f"{table}.{recipe}.policy"
            found += _declared(options, name, ("policies", recipe))
    return tuple(sorted(found, key=lambda key: key.name))


def _declared(value: Any, name: str, path: tuple[str, ...]) -> Iterator[RemoteKey]:
    """Remote fields of a struct, and of the structs in it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _declared(inner, f"{name}.{key}", (*path, str(key)))
    if not isinstance(value, Struct):
        return
    info = inspect.type_info(type(value))
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        here, way = f"{name}.{field.name}", (*path, field.name)
        remote = _remote(field.type, here, way)
        if remote is not None:
            yield remote
        else:
            yield from _declared(getattr(value, field.name), here, way)


def _remote(kind: inspect.Type, name: str, path: tuple[str, ...]) -> RemoteKey | None:
    if isinstance(kind, inspect.UnionType):
        inner = (_remote(member, name, path) for member in kind.types)
        return next((one for one in inner if one is not None), None)
    if not (isinstance(kind, inspect.Metadata) and (kind.extra or {}).get("remote")):
        return None
    match kind.type:
        case inspect.IntType(ge=ge, le=le):
            return RemoteKey(name, path, "int", ge, le)
        case inspect.FloatType(ge=ge, le=le):
            return RemoteKey(name, path, "float", ge, le)
        case inspect.BoolType():
            return RemoteKey(name, path, "bool")
        case inspect.StrType(max_length=int(most)):
            return RemoteKey(name, path, "str", most=most)
        case inspect.LiteralType(values=values):
            return RemoteKey(name, path, "str", choices=tuple(str(value) for value in values))
        case _:
            return None
