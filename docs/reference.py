"""Structs as Markdown tables, for `generate.py`."""

from __future__ import annotations

import re
from typing import Any

from msgspec import NODEFAULT, inspect

from edge.config.agent import AgentConfig

DRIVER_TABLES = {"opencv": "drivers.camera_opencv", "http": "drivers.camera_http", "modbus": "drivers.plc_modbus"}
TABLE_NAMES = {"sources": "sources.NAME", "devices": "devices.NAME", "recipes": "recipes.NAME"}


def doc(kind: type) -> str:
    """A docstring as one paragraph of Markdown."""
    text = " ".join((kind.__doc__ or "").split())
    text = re.sub(r":(?:func|class|mod|data):`~?(?:[\w]+\.)*(\w+)`", r"`\1`", text)
    return text.replace("``", "`")


def fields(kind: type, *, units: bool = False) -> str:
    """A table of a struct's fields. ``units`` adds who may set it from afar."""
    head = "| key | type | default | from afar |" if units else "| field | type | default |"
    lines = [head, "|---|---|---|" + ("---|" if units else "")]
    for field in inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        cells = [f"`{field.encode_name}`", type_text(field.type), _default(field)]
        if units:
            cells.append("yes" if _remote(field.type) else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _default(field: inspect.Field) -> str:
    if field.default is not NODEFAULT:
        return "" if field.default is None else f"`{_value(field.default)}`"
    if field.default_factory is NODEFAULT:
        return "**needed**"
    made = field.default_factory()
    return "" if hasattr(made, "__struct_fields__") else f"`{_value(made)}`"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if hasattr(value, "__struct_fields__"):
        return "{}"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value)


def type_text(info: inspect.Type) -> str:
    """A type as a person would say it, with its range."""
    match info:
        case inspect.Metadata(type=inner, extra_json_schema=extra):
            said = type_text(inner)
            return f"text: {(extra or {}).get('description', said)}" if said.startswith("text `") else said
        case inspect.IntType() | inspect.FloatType():
            return ("integer" if isinstance(info, inspect.IntType) else "number") + _range(info)
        case inspect.StrType():
            return (
                "text" if info.pattern is None else "id" if "._-]{0,63}" in info.pattern else f"text `{info.pattern}`"
            )
        case inspect.BoolType():
            return "true or false"
        case inspect.BytesType():
            return "bytes"
        case inspect.LiteralType(values=values):
            return " · ".join(f"`{_value(one)}`" for one in values)
        case inspect.NoneType():
            return "nothing"
        case inspect.UnionType(types=types):
            return " or ".join(type_text(one) for one in types if not isinstance(one, inspect.NoneType))
        case inspect.VarTupleType(item_type=inner) | inspect.ListType(item_type=inner):
            return f"list of {type_text(inner)}"
        case inspect.TupleType(item_types=types):
            return f"list of {len(types)}: {', '.join(dict.fromkeys(map(type_text, types)))}"
        case inspect.DictType(value_type=inner):
            return f"table: {type_text(inner)} by name"
        case inspect.StructType(cls=cls):
            return cls.__name__
        case _:
            return "any"


def _range(info: Any) -> str:
    low = f"≥ {info.ge:g}" if info.ge is not None else f"> {info.gt:g}" if info.gt is not None else ""
    high = f"≤ {info.le}" if info.le is not None else f"< {info.lt}" if info.lt is not None else ""
    said = ", ".join(part for part in (low, high) if part)
    return f" ({said})" if said else ""


def _remote(info: inspect.Type) -> bool:
    if isinstance(info, inspect.Metadata):
        return bool((info.extra or {}).get("remote")) or _remote(info.type)
    return isinstance(info, inspect.UnionType) and any(_remote(one) for one in info.types)


def settings() -> str:
    """Every table of ``agent.toml``, and each driver's own options."""
    from importlib import import_module

    parts = []
    for field in inspect.type_info(AgentConfig).fields:  # type: ignore[attr-defined]
        kind = _struct(field.type)
        if kind is not None:
            name = TABLE_NAMES.get(field.name, field.name)
            parts.append(f"### `[{name}]`\n\n{doc(kind)}\n\n{fields(kind, units=True)}")
            if field.name == "link":
                tls = next(one for one in inspect.type_info(kind).fields if one.name == "tls")  # type: ignore[attr-defined]
                inner = _struct(tls.type)
                assert inner is not None
                parts.append(f"### `[link.tls]`\n\n{doc(inner)}\n\n{fields(inner, units=True)}")
    for driver, module in DRIVER_TABLES.items():
        made = import_module(module)
        kind = next(one.Options for one in vars(made).values() if isinstance(one, type) and hasattr(one, "Options"))
        name = "devices" if driver == "modbus" else "sources"
        parts.append(
            f'### `[{name}.NAME.options]` with `driver = "{driver}"`\n\n{doc(kind)}\n\n{fields(kind, units=True)}'
        )
    return "\n\n".join(parts)


def _struct(info: inspect.Type) -> type | None:
    match info:
        case inspect.StructType(cls=cls):
            return cls
        case inspect.UnionType(types=types):
            return next((found for one in types if (found := _struct(one)) is not None), None)
        case inspect.DictType(value_type=inner):
            return _struct(inner)
        case inspect.Metadata(type=inner):
            return _struct(inner)
        case _:
            return None
