"""What is given as maps over the input."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edge.vision.spec import Activation


class SegmentHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="segment"):
    """``float (1, C, h, w)``: one map a class, at the input's size or any lower resolution.

    ``activation`` is what is still to be applied: ``sigmoid`` and ``none`` treat the classes as independent,
    ``softmax`` makes them exclude each other. ``background`` is the channel that means 'nothing here'; it is not
    in the list of labels, so that C is the number of labels plus one where it is given.
    ``exclusive`` makes every pixel belong to its likeliest class only; by default it follows from ``softmax``.
    """

    output: str = ""
    activation: Activation = "sigmoid"
    background: Annotated[int, Meta(ge=0)] | None = None
    exclusive: bool | None = None
