"""From the text of a ``model.toml`` to its structs, with errors that point at the line and name the likely word."""

from __future__ import annotations

import difflib
from typing import Any, TypeVar

import msgspec

from edge.config.check import checked, parse_toml
from edge.config.locate import Locator
from edge.errors import ConfigError, JidokaError, ModelError
from edge.models import plugins
from edge.vision.conventions import HEAD_TASK

T = TypeVar("T")

_TAGS: dict[str, type[Any]] = {str(kind.__struct_config__.tag): kind for kind in HEAD_TASK}
"""Heads by the word that names them."""


def decode(data: bytes, kind: type[T], name: str) -> T:
    """A manifest of the struct ``kind``, which has ``model`` and ``output``.

    ``task`` may be left out where the head says it. A head that is none of ours is looked for among the plug-ins.
    Raises ModelError MODEL_MANIFEST_INVALID.
    """
    try:
        document, locator = parse_toml(data, name)
    except (ConfigError, ValueError) as error:  # ValueError: tomllib's own for numbers of thousands of digits
        why = error.why if isinstance(error, ConfigError) else str(error)
        raise ModelError(
            "MODEL_MANIFEST_INVALID", f"{name} is not valid TOML", why, "see the guide on models"
        ) from error
    try:
        return _convert(document, kind, locator)
    except JidokaError as error:
        hint = error.hint or "see the guide on models"
        raise ModelError("MODEL_MANIFEST_INVALID", error.what, error.why, hint) from error


def decode_document(document: dict[str, Any], kind: type[T], name: str) -> T:
    """The same of what is parsed already; ``name`` stands for the file in errors."""
    try:
        return _convert(document, kind, Locator("", name))
    except JidokaError as error:
        raise ModelError("MODEL_MANIFEST_INVALID", error.what, error.why, error.hint) from error


def _convert(document: dict[str, Any], kind: type[T], locator: Locator) -> T:
    output = document.get("output")
    tag = output.get("head") if isinstance(output, dict) else None
    if output is None:
        where = locator.where(())
        raise ConfigError("CONFIG_MISSING_KEY", f"{where}: there is no table [output]", "", 'it needs head = "…"')
    if not isinstance(output, dict) or not isinstance(tag, str):
        # What is wrong with [output] is said first, and not that the task does not follow from it.
        return checked(_with_task(document, "raw"), kind, locator)
    if kind.__name__ != "Manifest":
        return checked(document, kind, locator)
    if tag in _TAGS:
        return checked(_with_task(document, HEAD_TASK[_TAGS[tag]]), kind, locator)
    if tag not in plugins.names():
        raise _unknown_head(tag, locator)
    options, task = plugins.options(tag, output, locator)
    # The struct's type lists our own heads only: one of the same task holds the plug-in's place while all else is checked.
    place = next(
        (word for word, own in _TAGS.items() if HEAD_TASK[own] == task and not own.__struct_config__.array_like), "raw"
    )
    found: Any = checked(_with_task(document, task) | {"output": {"head": place}}, kind, locator)
    made: T = msgspec.structs.replace(found, output=options)
    return made


def _with_task(document: dict[str, Any], task: str) -> dict[str, Any]:
    """The document with the head's task where it says none; with stages the head alone does not decide."""
    model = document.get("model")
    if not isinstance(model, dict) or "task" in model or "stage" in document:
        return document
    return document | {"model": model | {"task": task}}


def _unknown_head(tag: str, locator: Locator) -> ConfigError:
    known = sorted({*_TAGS, *plugins.names()})
    near = difflib.get_close_matches(tag, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    where = locator.where(("output", "head"))
    return ConfigError("CONFIG_WRONG_VALUE", f"{where}: there is no head called {tag!r}", hint=hint)
