"""Reading: where lines of text are, what they say, and codes."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.vision.spec import Activation

Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class TextBoxesHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="text_boxes"):
    """``float (1, 1, h, w)``, 0..1: how likely a pixel of the input belongs to the core of a line of text.

    Differentiable binarisation (Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", 2020),
    as PaddleOCR exports it (``ppocr/postprocess/db_postprocess.py``). Pixels from ``level`` on make blobs; a blob's
    smallest rotated rectangle, whose mean probability is at least ``thresholds.score``, grows on every side by
    ``unclip * area / perimeter``, because training shrinks the lines by as much. ``min_side_px`` is of the rectangle in
    the input, before it grows. ``dilate`` lets blobs grow by a pixel to the right and below first, which keeps the dots
    of dot-matrix print together (RapidOCR's default, not PaddleOCR's).

    A frame that is more than ``one_line`` times as wide as high (or as high as wide) is one line: somebody cut it out,
    and detectors miss lines that touch the border. 0 never takes it so.
    """

    output: str = ""
    level: Share = 0.3
    unclip: Annotated[float, Meta(ge=0.0, le=10.0)] = 1.6
    min_side_px: Annotated[float, Meta(ge=0.0)] = 3.0
    dilate: bool = False
    one_line: Annotated[float, Meta(ge=0.0)] = 8.0


class CtcHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="ctc"):
    """``float (1, T, C)``: for each of T steps along the line, how likely each character is; class 0 (or the last, see
    ``blank``) means 'no character'. Connectionist temporal classification (Graves et al. 2006), read greedily: the
    likeliest class a step, repetitions made one, blanks left out. Exported like this by PaddleOCR, CRNN and their kin.

    ``layout``: ``ntc`` as above, ``tnc`` is ``(T, 1, C)``, ``nct`` is ``(1, C, T)``. ``activation`` is what is still to
    be applied. The characters in class order come from ``characters`` (one class a character of the string, or a list),
    else from the file ``dictionary`` in the bundle (UTF-8, one a line), else from the model's metadata, key
    ``character``. ``space`` says that a class for the space follows the last of them (PaddleOCR's ``use_space_char``);
    left out, it is seen from the number of classes.
    """

    output: str = ""
    layout: Literal["ntc", "tnc", "nct"] = "ntc"
    activation: Activation = "none"
    blank: Literal["first", "last"] = "first"
    characters: str | tuple[str, ...] = ()
    dictionary: str = ""
    space: bool | None = None


class CodesHead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="head", tag="codes"):
    """Codes read by zxing-cpp instead of a model: ``texts`` and ``formats`` (object arrays ``(n,)`` of str) and
    ``quads`` float ``(n, 4, 2)``, corners in input pixels from the code's own top left clockwise.
    """

    output: str = ""
