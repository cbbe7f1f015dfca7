"""What is said of the whole frame."""

from __future__ import annotations

from msgspec import Struct

from edge.vision.spec import Activation


class ClassifyHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="classify"):
    """``float (1, C)`` or ``(1, C, 1, 1)``: one score a class; ``activation`` is what is still to be applied."""

    output: str = ""
    activation: Activation = "softmax"
