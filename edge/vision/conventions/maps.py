"""What is given as maps over the input."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edge.vision.spec import Activation, Layout


class SegmentHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="segment"):
    """``float (1, C, h, w)``: one map a class, at the input's size or any lower resolution; with ``layout`` ``nhwc``
    ``(1, h, w, C)`` (TensorFlow's order). A single class may be ``(1, h, w)``.

    ``activation`` is what is still to be applied: ``sigmoid`` and ``none`` treat the classes as independent,
    ``softmax`` makes them exclude each other. ``background`` is the channel that means 'nothing here'; it may be in
    the list of labels or not: where C is the number of labels, it is, where C is one more, it is not.
    ``exclusive`` makes every pixel belong to its likeliest class only; by default it follows from ``softmax``.
    Where the softmax is in the graph already, say ``activation = "none"`` and ``exclusive = true``.

    The usual form of DeepLab (``ResizeBilinear_3`` of its TensorFlow export, logits), U-Net, BiSeNet, SegFormer and
    torchvision's ``out``.
    """

    output: str = ""
    activation: Activation = "sigmoid"
    background: Annotated[int, Meta(ge=0)] | None = None
    exclusive: bool | None = None
    layout: Layout = "nchw"


class LabelMapHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="label_map"):
    """Numbers ``(1, h, w)``, ``(1, 1, h, w)``, ``(1, h, w, 1)`` or ``(h, w)``: the number of each pixel's class, of any
    type. An argmax is in the graph, as in exports of PaddleSeg and MMSegmentation (``ArgMax``, int64).

    ``background`` is the number that means 'nothing here' (None: every class counts). It is not in the list of labels
    unless ``background_named``; so that labels count from the number after it, or all of them by their place. Numbers
    that no label has mean nothing, as 255 (void) of PASCAL VOC and Cityscapes. Regions have score 1: there is none.
    """

    output: str = ""
    background: Annotated[int, Meta(ge=0)] | None = 0
    background_named: bool = False
