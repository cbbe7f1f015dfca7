"""``[[stage]]`` of a manifest: what is done with what the bundle's own model found.

::

    my-reader/
      model.toml             task, labels, input, output of the first model, and the stages
      model.onnx             finds bottles, caps and labels
      cap/model.toml, …      a bundle of its own: is the cap on straight?
      label/model.toml, …    another one, itself a cascade: reads text

    [[stage]]
    name = "cap"
    model = "cap"            # a folder in this one, or a built-in: codes, codes:QRCode
    labels = ["cap"]         # whose rows go on; left out: all

    [[stage]]
    name = "label"
    model = "label"
    labels = ["label"]
    margin = 0.1             # of the box's sides, added on each side
    limit = 5                # at most so many rows, the likeliest

Stages run in the order they are written. Read before anything that knows arrays is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.domain import ID_PATTERN
from edge.vision.spec import Task

CODES = "codes"
BUILTIN = "builtin:"
MAX_STAGES = 16
MAX_DEPTH = 4
"""Bundles in bundles: more is nobody's intention."""


class Stage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One further model.

    ``use``: ``nest`` lists what it finds with the row (``found`` in JSON); ``read`` makes its text the row's own (the
    task becomes ``ocr``, rows without text go); ``turn`` turns the crop for all stages after it by the number its class
    is called (0, 90, 180 or 270 degrees clockwise), when its score reaches the stage's threshold; ``frame`` looks at
    the whole frame instead of rows, and what it finds stands beside the rows.

    ``crop``: ``quad`` straightens rotated boxes and lines of text, ``box`` takes the upright box; ``auto`` is ``quad``
    where the first model gives quads.
    """

    name: str
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    labels: tuple[str, ...] = ()
    use: Literal["nest", "read", "turn", "frame"] = "nest"
    crop: Literal["auto", "quad", "box"] = "auto"
    margin: Annotated[float, Meta(ge=0.0, le=2.0)] = 0.0
    limit: Annotated[int, Meta(ge=1, le=300)] = 100

    def __post_init__(self) -> None:
        if not ID_PATTERN.fullmatch(self.name):
            raise ValueError(f"stage name {self.name!r} may hold letters, digits, '.', '_' and '-', at most 64")


Stages = Annotated[tuple[Stage, ...], Meta(max_length=MAX_STAGES)]


def is_codes(name: str) -> bool:
    """Whether a model's name means the built-in code reader: ``codes``, ``codes:FORMAT,…``, ``builtin:`` before it."""
    name = name.removeprefix(BUILTIN)
    return name == CODES or name.startswith(f"{CODES}:")


def place_of(name: str, path: Path) -> Path:
    """What is to be loaded for a model's name in a settings file: ``path``, which it is as a path, or a built-in, unless
    a bundle of that name is there.
    """
    if is_codes(name) and not (path / "model.toml").exists():
        return Path(BUILTIN + name.removeprefix(BUILTIN))
    return path


def task_of(task: Task, stages: tuple[Stage, ...]) -> Task:
    """A cascade's task: that of its first model, ``ocr`` where a stage reads its rows."""
    return "ocr" if any(stage.use == "read" for stage in stages) else task


def check(labels: tuple[str, ...], stages: tuple[Stage, ...]) -> None:
    """Raises ValueError for stages that make no sense together."""
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise ValueError("stages must have different names")
    for stage in stages:
        unknown = set(stage.labels) - set(labels)
        if unknown:
            raise ValueError(f"stage {stage.name!r} names unknown labels: {', '.join(sorted(unknown))}")
