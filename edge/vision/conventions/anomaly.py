"""How unlike good pictures a frame is: maps and scores, reconstructions, and distances to features of good pictures.

Where the line is drawn is not part of the convention: ``[thresholds] anomaly`` (of the score) and ``anomaly_map`` (of
the map), both in the model's own unit, written by `jidoka model calibrate`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.vision.spec import Layout

Share = Annotated[float, Meta(gt=0.0, lt=1.0)]
FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}\.npz$")]


class AnomalyHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="anomaly"):
    """A map ``(1, 1, h, w)`` or ``(1, h, w)``, a score of one number, or both; higher is more anomalous.

    ``map_output`` and ``score_output`` name them; left out, they are ``anomaly_map`` and ``pred_score`` where such
    outputs exist (anomalib from version 2, ``InferenceBatch`` in src/anomalib/data/dataclasses/generic.py), else the
    first output that is a map and the first that is one number (before version 2 anomalib called its first output
    ``output``). ``pred_label`` and ``pred_mask`` are not used: they are the same numbers behind a threshold that
    cannot be moved. Without a score output the score is the map's maximum inside the frame, as anomalib takes it
    (``PostProcessor.forward``, src/anomalib/post_processing/post_processor.py).

    ``normalised``: values are 0..1 and the threshold is 0.5, ``(x - threshold) / (max - min) + 0.5`` clipped
    (``PostProcessor._normalize``). Otherwise they are raw, of any unit, and without ``[thresholds]`` no line is known.
    """

    map_output: str = ""
    score_output: str = ""
    normalised: bool = False


class ReconstructionHead(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="reconstruction"
):
    """An output of the input's own shape: what the picture would look like if it were good (autoencoders).

    The error of a pixel is the squared difference between input and output, averaged over the channels, in the unit
    of the model's input squared: after scale, mean and std, and inside the frame's rectangle only, so that padding
    does not count. ``score`` is its ``mean`` over the frame (the MSE of the usual training loss) or its ``quantile``
    (0.99: one pixel in a hundred is worse), which sees small defects that a mean dilutes. ``blur_px`` averages the
    error over a square of so many input pixels before the quantile and the map are taken; the mean is not affected.
    """

    output: str = ""
    score: Literal["mean", "quantile"] = "mean"
    quantile: Share = 0.99
    blur_px: Annotated[int, Meta(ge=0, le=255)] = 0


class MemoryBankHead(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="memory_bank"
):
    """Feature maps ``(1, c, h, w)`` (``layout`` ``nhwc``: ``(1, h, w, c)``) of a network that was trained for anything,
    compared with those of good pictures. After PatchCore (Roth et al., Towards Total Recall in Industrial Anomaly
    Detection, CVPR 2022, sections 3.1 to 3.3), without its reweighting of the score.

    ``features`` names the outputs, by default all. Each is averaged over ``pool`` x ``pool`` cells, all are brought to
    the resolution of the first and put side by side: d numbers a cell. ``bank`` is a file of the bundle with
    ``bank`` float ``(m, d)``, and ``mean`` and ``gain`` float ``(d,)``: numbers are compared as
    ``(x - mean) * gain``. A cell's value is its Euclidean distance to the nearest row, the score the highest cell
    inside the frame. `jidoka model bank` makes such bundles.
    """

    features: tuple[str, ...] = ()
    layout: Layout = "nchw"
    pool: Annotated[int, Meta(ge=1, le=15)] = 3
    bank: FileName = "bank.npz"
