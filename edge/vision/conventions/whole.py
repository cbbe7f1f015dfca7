"""What is said of the whole frame."""

from __future__ import annotations

from msgspec import Struct

from edge.vision.spec import Activation


class ClassifyHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="classify"):
    """``float (1, C)`` or ``(1, C, 1, 1)``: one score a class; ``activation`` is what is still to be applied. One number
    with two labels is the second one's probability, the rest is the first's (``Dense(1, activation="sigmoid")`` of Keras,
    ``BCEWithLogitsLoss`` of PyTorch).
    """

    output: str = ""
    activation: Activation = "softmax"


class RawHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="raw"):
    """Outputs as they are, for plug-ins and for what nobody recognises. Those of at most 64 numbers become values
    called ``output[i]`` (one number: ``output``), larger ones ``output.min``, ``.mean`` and ``.max``; by default all.
    """

    outputs: tuple[str, ...] = ()
