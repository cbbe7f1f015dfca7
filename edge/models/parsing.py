"""From the text of a ``model.toml`` to its structs, with errors that point at the line and name the likely word."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Text:
    """A ``model.toml`` as it was read and parsed, once, before it is known of what kind of model it speaks."""

    document: dict[str, Any]
    locator: Locator

    @property
    def of_series(self) -> bool:
        """True where it gives channels: the model takes windows of samples, no pictures."""
        given, about = self.document.get("input"), self.document.get("model")
        said = isinstance(about, dict) and about.get("task") == "series"
        return said or (isinstance(given, dict) and "channels" in given)


def text_of(data: bytes, name: str) -> Text:
    """Parse the bytes of the file ``name``. Raises ModelError MODEL_MANIFEST_INVALID."""
    try:
        return Text(*parse_toml(data, name))
    except (ConfigError, ValueError) as error:  # ValueError: tomllib's own for numbers of thousands of digits
        why = error.why if isinstance(error, ConfigError) else str(error)
        raise ModelError(
            "MODEL_MANIFEST_INVALID", f"{name} is not valid TOML", why, "see the guide on models"
        ) from error


def of_pictures(text: Text, kind: type[T]) -> T:
    """A manifest of the struct ``kind``, which has ``model`` and ``output``, with a head for pictures.

    ``task`` may be left out where the head says it. A head that is none of ours is looked for among the plug-ins.
    Raises ModelError MODEL_MANIFEST_INVALID.
    """
    return _or_invalid(lambda: _convert(text.document, kind, text.locator))


def of_series(text: Text, kind: type[T]) -> T:
    """The same of a manifest with channels: its heads are ours and say no task. Raises ModelError MODEL_MANIFEST_INVALID."""
    return _or_invalid(lambda: checked(text.document, kind, text.locator), "see the guide on series")


def changed(document: dict[str, Any]) -> Text:
    """A manifest that no file has: what a command makes of another one."""
    return Text(document, Locator("", "--set"))


def _or_invalid(convert: Callable[[], T], hint: str = "see the guide on models") -> T:
    try:
        return convert()
    except JidokaError as error:
        raise ModelError("MODEL_MANIFEST_INVALID", error.what, error.why, error.hint or hint) from error


def _convert(document: dict[str, Any], kind: type[T], locator: Locator) -> T:
    output = document.get("output")
    tag = output.get("head") if isinstance(output, dict) else None
    if output is None:
        where = locator.where(())
        raise ConfigError("CONFIG_MISSING_KEY", f"{where}: there is no table [output]", "", 'it needs head = "…"')
    if not isinstance(output, dict) or not isinstance(tag, str):
        # What is wrong with [output] is said first, and not that the task does not follow from it.
        return checked(_with_task(document, "raw"), kind, locator)
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
