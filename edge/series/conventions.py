"""``[output]`` of a series model: how its outputs are to be read, one struct a convention. Knows no arrays."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.vision.spec import Activation

Steps = Literal["last", "mean", "max", "each"]
"""Of an output with a time axis ``(1, T, k)``: its last step counts, the mean or maximum over steps, or every step is
listed besides (then the window's own row is that of the last step).
"""

MAX_VALUES = 64
"""Named numbers of one window."""


class SeriesClassHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="class"):
    """One score a class, in one of these forms:

    - ``float (1, C)``, ``(C,)`` or with ``steps`` ``(1, T, C)``; ``activation`` is what is still to be applied;
      ``(1, 1)`` with two labels is the score of the second;
    - a sequence of maps from class to probability (ZipMap of ONNX-ML operators; what skl2onnx gives by default as
      ``output_probability`` or ``probabilities``): keys are the labels, or ``classes`` in their order;
    - one output ``(1,)`` a class, named in ``columns`` (skl2onnx with ``zipmap = "columns"``);
    - only a label, ``int64`` or ``string (1,)``, with ``labels_only``: it has score 1.

    ``classes``: what the model itself calls the labels, in their order, where that differs (``["0", "1"]``).
    """

    output: str = ""
    activation: Activation = "none"
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    labels_only: bool = False
    steps: Steps = "last"


class Value(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One number the model gives: ``raw * scale + offset``, in ``unit``, clipped to ``low`` and ``high``, which are
    the limits of what it can mean (limits that decide are a policy's).
    """

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    low: float | None = None
    high: float | None = None


class SeriesValueHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="value"):
    """Regression: ``float (1, k)``, ``(k,)``, ``(1,)`` or with ``steps`` ``(1, T, k)``, k being the number of
    ``values``.
    """

    values: Annotated[tuple[Value, ...], Meta(min_length=1, max_length=MAX_VALUES)]
    output: str = ""
    steps: Steps = "last"


class SeriesScoreHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="score"):
    """How unusual the window is: one number, or one a step with ``steps``. At or above ``threshold`` it is anomalous.

    ``sign = -1`` for models whose low numbers are the unusual ones (scikit-learn's ``IsolationForest`` and
    ``OneClassSVM``: ``scores`` of skl2onnx is their ``decision_function``). The threshold is of the number times sign.
    """

    threshold: float | None = None
    output: str = ""
    sign: Literal[1, -1] = 1
    steps: Steps = "last"


class SeriesReconstructionHead(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="reconstruction"
):
    """The model gives its own input again, shape and scaling as it got them; the error is the score: ``mse`` the mean
    square, ``mae`` the mean absolute difference over all samples and channels, ``max`` the worst channel's ``mae``.
    Each channel's ``mae`` is a value, so that one sees which one is odd.
    """

    threshold: float | None = None
    output: str = ""
    error: Literal["mse", "mae", "max"] = "mse"


class SeriesRawHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="raw"):
    """Outputs as they are, for plug-ins: those of at most 64 numbers become values called ``output[i]``."""


SeriesHead = SeriesClassHead | SeriesValueHead | SeriesScoreHead | SeriesReconstructionHead | SeriesRawHead
