"""``[[variant]]`` of a manifest: another form of the model, and how far it was seen to agree with the original.

Knows no arrays and no bundle: a daemon reads manifests before it imports either.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edge.models.tuning.way import Engine

ORIGINAL = "original"
AUTO = "auto"
FOLDER = "variants"

Name = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,31}$")]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Agreed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was compared with the original, on how many pictures, and what came out.

    ``figure`` says in words what ``value`` (1 is all) counts; it is the lower of that on the pictures the variant was
    made from and that on those kept back (``held_out`` of ``pictures``). ``least`` is what was asked for.
    ``raw_error`` is the largest difference of a raw output as a share of that output's largest number: for people, as
    it says little about what is found.
    """

    figure: str
    value: Share
    least: Share
    pictures: Annotated[int, Meta(ge=1)]
    held_out: Annotated[int, Meta(ge=0)] = 0
    held_out_value: Share | None = None
    score_error: Annotated[float, Meta(ge=0.0)] = 0.0
    raw_error: Annotated[float, Meta(ge=0.0)] = 0.0

    def __post_init__(self) -> None:
        if self.value < self.least:
            raise ValueError(f"an agreement of {self.value:g} is below its own least, {self.least:g}")


class Variant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``variants/NAME.onnx``, written by ``jidoka model quantize``. ``of`` is the sha256 of the model it was made from:
    beside another one it is not used. ``how`` and ``made_with`` are for people, and so is ``speed``: how many times as
    fast as the original it was, one thread each, on the machine ``on``. ``engines``: with which of them it was seen to
    agree; they round differently, and it is run by no other.
    """

    name: Name
    sha256: Sha256
    of: Sha256
    how: str
    made_with: str = ""
    speed: Annotated[float, Meta(gt=0.0)] | None = None
    on: str = ""
    agreement: Agreed
    engines: Annotated[tuple[Engine, ...], Meta(min_length=1)] = ("onnxruntime",)

    def __post_init__(self) -> None:
        if self.name in {ORIGINAL, AUTO}:
            raise ValueError(f"a variant cannot be called {self.name!r}")

    @property
    def file(self) -> str:
        """Where it is in the bundle."""
        return f"{FOLDER}/{self.name}.onnx"


def check_names(variants: tuple[Variant, ...]) -> None:
    """Raises ValueError where two have one name."""
    names = [one.name for one in variants]
    if len(set(names)) != len(names):
        raise ValueError("[[variant]] names must differ from each other")
