"""Points of the one object that fills the picture: faces, hands and persons that a detector cut out before."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.vision.conventions.shapes import Points


class LandmarksHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="landmarks"):
    """K points as numbers: ``float (1, K * values)``, or with axes of 1 between, as ``(1, K, values)`` and
    ``(1, 1, K, values)``: PFLD (``pfld_inference`` in PFLD_68points_Pytorch, ``normalised``), insightface's ``2d106det``
    (``Landmark.get`` in insightface/model_zoo/landmark.py: ``centred``), hand and face landmarks of MediaPipe
    (tensors_to_landmarks_calculator.cc: ``input``, a third number that is the depth), MoveNet's single pose
    (tfhub.dev/google/movenet: ``normalised``, ``order = "yx"``, a third number that is the point's score).

    ``unit``: fractions of the input's sides, pixels of the input, or ``centred``: -1..1 over the input.
    ``third``: what a third number is. ``score_output``: one number that says whether the object is there, through
    ``activation``. Without it the object's score is the mean of its points' scores, and 1 where these have none.
    """

    output: str = ""
    points: Points = 68
    values: Literal[2, 3] = 2
    order: Literal["xy", "yx"] = "xy"
    unit: Literal["normalised", "input", "centred"] = "normalised"
    third: Literal["score", "depth"] = "score"
    score_output: str = ""
    activation: Literal["none", "sigmoid"] = "none"


class HeatmapsHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="heatmaps"):
    """A map a point, ``float (1, K, h, w)``: the point is where its map is highest, moved by ``shift`` of a cell towards
    the higher neighbour on each axis, and its score is that height, 0..1 (``get_final_preds`` in
    deep-high-resolution-net.pytorch/lib/core/inference.py; HRNet, SimpleBaseline, Lite-HRNet, ViTPose).
    """

    output: str = ""
    points: Points = 17
    shift: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.25


class SimccHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="simcc"):
    """A point's column and row as two classifications: ``float (1, K, width * split)`` and ``(1, K, height * split)``.
    The likeliest bin over ``split`` is the place in input pixels, the score the lower of the two maxima ("SimCC", Li et
    al. 2022; ``get_simcc_maximum`` in mmpose/codecs/utils/post_processing.py; RTMPose).
    """

    x_output: str = ""
    y_output: str = ""
    points: Points = 17
    split: Annotated[float, Meta(gt=0.0, le=16.0)] = 2.0
