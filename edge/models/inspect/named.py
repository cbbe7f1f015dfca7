"""Names of classes that exporters leave in a file's metadata, whatever they call the key."""

from __future__ import annotations

import ast
import json

from edge.models.bundle import MAX_LABELS

KEYS = ("names", "labels", "classes", "class_names", "classnames", "id2label", "label_map", "categories", "character")
"""Ultralytics, torch projects, Keras projects, transformers' configuration; RapidAI keeps a line a class in
``character``, as PaddleOCR does its dictionary."""


def names_in(metadata: dict[str, str]) -> tuple[str, ...]:
    """The first list of names there is, in class order; () where there is none."""
    lowered = {key.lower(): value for key, value in metadata.items()}
    for key in KEYS:
        if found := _parsed(lowered.get(key, "")):
            return distinct(found)
    return ()


def _parsed(text: str) -> tuple[str, ...]:
    """JSON or Python list, or mapping of numbers to names (or of names to numbers); else lines, else commas."""
    text = text.strip()
    if not text:
        return ()
    value = literal(text) if text[0] in "[{(" else None
    match value:
        case dict() if all(str(k).isdigit() for k in value):
            ordered = [value[k] for k in sorted(value, key=lambda k: int(str(k)))]
        case dict() if all(isinstance(v, int) for v in value.values()):
            ordered = sorted(value, key=lambda k: value[k])
        case list() | tuple():
            ordered = list(value)
        case _:
            lines = [line.strip() for line in text.replace("\r", "").split("\n" if "\n" in text else ",")]
            ordered = [] if text[0] in "[{(" or "" in lines else lines
    if not 1 < len(ordered) <= MAX_LABELS or not all(isinstance(one, str | int) for one in ordered):
        return ()
    return tuple(str(one)[:64] or str(number) for number, one in enumerate(ordered))


def literal(text: str) -> object:
    """A Python or JSON literal; None where it is none. Read, never run."""
    text = text[:262_144]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Label lists in the wild repeat names; the later one gets its number."""
    return tuple(
        label if labels.index(label) == number else f"{label[:56]}-{number}" for number, label in enumerate(labels)
    )
