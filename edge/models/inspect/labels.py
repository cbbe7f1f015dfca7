"""Built-in lists of names, for models that name none: chosen by number, and said to be a guess.

``coco-80``: classes of COCO's detection task in order; ``coco-91`` with background first and the ids never used, as
TensorFlow and torchvision count. ``voc-21``: PASCAL VOC with background first. ``imagenet-1k``: first words of the
1,000 synsets of ILSVRC 2012, in the usual order (sorted by WordNet id), lower case. ``cityscapes-19``: train ids.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

from edge.vision.spec import Task

_BY_COUNT: dict[Task, dict[int, str]] = {
    "detect": {80: "coco-80", 90: "coco-90", 91: "coco-91", 20: "voc-20"},
    "segment": {80: "coco-80", 20: "voc-20", 21: "voc-21", 19: "cityscapes-19"},
    "classify": {1000: "imagenet-1k", 1001: "imagenet-1001"},
}


@cache
def _sets() -> dict[str, tuple[str, ...]]:
    data = files("edge.models.inspect").joinpath("labels.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, tuple[str, ...]])


def names() -> list[str]:
    """The sets there are."""
    return sorted({*_sets(), "coco-90", "voc-20", "imagenet-1001"})


def label_set(name: str) -> tuple[str, ...]:
    """The names of a set. Raises KeyError."""
    match name:
        case "coco-90" | "voc-20":
            return _sets()[{"coco-90": "coco-91", "voc-20": "voc-21"}[name]][1:]
        case "imagenet-1001":
            return ("background", *_sets()["imagenet-1k"])
        case _:
            return _sets()[name]


def by_count(task: Task, n: int) -> str:
    """The set that a model of this task with n classes usually knows; '' where there is none."""
    return _BY_COUNT.get(task, {}).get(n, "")
