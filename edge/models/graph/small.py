"""The small messages of an ONNX file: value infos, operator sets, keys with text, names.

Field numbers are those of ``onnx.proto3``, as in :mod:`edge.models.graph.read`.
"""

from __future__ import annotations

from edge.errors import ModelError
from edge.models.graph.nodes import Value
from edge.models.graph.wire import Budget, fields, message, signed
from edge.models.graph.wire import Value as WireValue
from edge.models.graph.wire import text as string

MAX_NAME_BYTES = 4096


def value_info(view: memoryview, budget: Budget) -> Value:
    """An input or output: its name, element type and shape."""
    found = Value()
    for number, _, value in fields(view, budget):
        if number == 1:
            found.name = name_of(value)
        elif number == 2:  # noqa: PLR2004  (ValueInfoProto.type)
            _type(message(value), found, budget)
    return found


def _type(view: memoryview, found: Value, budget: Budget) -> None:
    kinds = {4: "sequence", 5: "map", 8: "sparse", 9: "optional"}
    for number, _, value in fields(view, budget):
        if number == 1:
            for inner, _, part in fields(message(value), budget):
                if inner == 1:
                    found.data_type = signed(part)
                elif inner == 2:  # noqa: PLR2004  (TypeProto.Tensor.shape)
                    found.dims = _dims(message(part), budget)
        elif number in kinds:
            found.kind = kinds[number]


def _dims(view: memoryview, budget: Budget) -> tuple[int | str | None, ...]:
    found: list[int | str | None] = []
    for number, _, value in fields(view, budget):
        if number == 1:
            dim: int | str | None = None
            for inner, _, part in fields(message(value), budget):
                if inner == 1:
                    dim = signed(part)
                elif inner == 2:  # noqa: PLR2004  (Dimension.dim_param)
                    dim = string(part, MAX_NAME_BYTES) or None
            found.append(dim)
    return tuple(found)


def opset_of(view: memoryview, budget: Budget) -> tuple[str, int]:
    """An operator set's domain ('' for ONNX's own) and version."""
    domain, version = "", 0
    for number, _, value in fields(view, budget):
        if number == 1:
            domain = name_of(value)
        elif number == 2:  # noqa: PLR2004  (OperatorSetIdProto.version)
            version = signed(value)
    return "" if domain == "ai.onnx" else domain, version


def entry_of(view: memoryview, limit: int, budget: Budget) -> tuple[str, str]:
    """A key and its text, as far as ``limit`` bytes."""
    key = text = ""
    for number, _, value in fields(view, budget):
        if number == 1:
            key = string(value, MAX_NAME_BYTES)
        elif number == 2:  # noqa: PLR2004  (StringStringEntryProto.value)
            text = string(value, limit)
    return key, text


def name_of(value: WireValue) -> str:
    """A name. Raises ModelError MODEL_TOO_COMPLEX for one of unlikely length."""
    if not isinstance(value, int) and len(value) > MAX_NAME_BYTES:
        raise too_complex(f"a name is longer than {MAX_NAME_BYTES} bytes")
    return string(value)


def too_complex(why: str) -> ModelError:
    """The refusal of a graph that no honest export is like."""
    return ModelError(
        "MODEL_TOO_COMPLEX",
        "the model's graph is refused",
        why,
        "no honest export is like this; check where it is from",
    )
