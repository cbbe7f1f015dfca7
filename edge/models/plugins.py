"""Heads of third parties, by entry point.

An entry point of group ``jidoka.heads`` has the name that ``[output] head`` uses, and leads to an object (a module, a
class, an instance) with

- ``Options``: a frozen msgspec struct of the head's parameters, ``tag_field="head"`` and ``tag`` the name;
- ``task``: one of :data:`edge.vision.spec.Task`;
- ``decode(options, outputs, context) -> Prediction`` and ``wants(options, shapes, n_labels) -> str`` as those of
  :class:`edge.vision.heads.Head`.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from edge.config.check import checked
from edge.config.locate import Locator
from edge.errors import ConfigError
from edge.registry import HEADS
from edge.registry import load as load_class
from edge.registry import names as names_in
from edge.vision.conventions import HEAD_TASK
from edge.vision.spec import Task


def names() -> list[str]:
    """Heads that are installed besides our own."""
    return names_in(HEADS)


def load(name: str) -> Any:
    """The object behind a name, with all that a head must have. Raises ConfigError HEAD_UNKNOWN, HEAD_NOT_INSTALLED,
    HEAD_UNFIT.
    """
    found = load_class(HEADS, name)
    missing = [part for part in ("Options", "task", "decode", "wants") if not hasattr(found, part)]
    if missing:
        raise ConfigError("HEAD_UNFIT", f"plug-in head {name!r} has no {missing[0]}", "", "ask its maker")
    config = getattr(found.Options, "__struct_config__", None)
    if config is None or config.tag_field != "head" or config.tag != name or not config.frozen:
        why = f"Options must be a frozen msgspec struct with tag_field 'head' and tag {name!r}"
        raise ConfigError("HEAD_UNFIT", f"plug-in head {name!r} cannot be used", why, "ask its maker")
    if found.task not in get_args(Task):
        raise ConfigError("HEAD_UNFIT", f"plug-in head {name!r} gives task {found.task!r}", "there is no such task")
    return found


def options(name: str, output: dict[str, Any], locator: Locator) -> tuple[msgspec.Struct, Task]:
    """The plug-in's own options, checked, and its task. Makes it known to :mod:`edge.vision.heads`. Raises ConfigError
    HEAD_NOT_INSTALLED, HEAD_UNFIT, and those of :func:`edge.config.check.checked`.
    """
    found = load(name)
    kind, task = found.Options, found.task
    made = checked(output, kind, locator, ("output",))
    _register(kind, task, found)
    return made, task


def _register(kind: type[Any], task: Task, found: Any) -> None:
    from edge.vision import heads  # arrays, which a daemon with one of our own heads reads its manifest without

    HEAD_TASK[kind] = task
    heads.HEADS[kind] = heads.Head(found.decode, found.wants)
