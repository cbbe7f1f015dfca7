"""The built-in model ``codes``: QR, Data Matrix, Code 128, EAN, ITF and more, read by zxing-cpp (extra ``codes``).

It is a model like any other to whoever uses it: a manifest, and a runner that gives named arrays. The picture goes in
as it is (no resize up to 8,192 px, no change of colour), so that a code's text is what zxing-cpp gives with its default
options. ``codes:QRCode,EAN13`` reads these formats only, which is faster and reads nothing into a pattern.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from edge.domain import ModelRef
from edge.errors import ModelError
from edge.models.bundle import About, Manifest, sha256_of
from edge.models.predictor import Predictor
from edge.models.result import Result
from edge.models.stages import CODES
from edge.ports import Blob
from edge.vision.conventions import CodesHead
from edge.vision.heads.codes import OUTPUTS
from edge.vision.spec import MAX_SIDE_PX, InputSpec

_INPUT = InputSpec(
    width_px=MAX_SIDE_PX, height_px=MAX_SIDE_PX, color="bgr", scale=1.0, layout="nhwc", follow="size", multiple_px=1
)


class CodesRunner:
    """Reads codes in the place of a session. Safe from any thread: the library keeps nothing between calls."""

    input_name = "picture"
    output_names = OUTPUTS

    def __init__(self, formats: tuple[str, ...] = ()) -> None:
        """Raises ModelError MODEL_EXTRA_ABSENT, MODEL_FORMAT_UNKNOWN."""
        library = _library()
        known = known_formats()
        for name in formats:
            if name not in known:
                raise ModelError(
                    "MODEL_FORMAT_UNKNOWN", f"there is no code format {name!r}", "", f"known: {', '.join(known)}"
                )
        self.formats = formats or known
        chosen = [getattr(library.BarcodeFormat, name) for name in formats]
        self._read: Any = library.read_barcodes
        self._options: dict[str, Any] = {"formats": library.BarcodeFormats(chosen)} if formats else {}

    def run(self, inputs: dict[str, Blob]) -> list[Blob]:
        """``uint8 (1, h, w, 3)`` BGR in; ``texts``, ``formats`` (object ``(n,)``) and ``quads`` ``(n, 4, 2)`` out."""
        found = self._read(inputs[self.input_name][0], **self._options)
        texts = np.array([code.text for code in found], object)
        formats = np.array([code.format.name for code in found], object)
        quads = np.array([_corners(code.position) for code in found], np.float32).reshape(-1, 4, 2)
        return [texts, formats, quads]


def load_codes(name: str = CODES) -> Predictor:
    """The built-in model of this name: ``codes``, or ``codes:FORMAT,FORMAT``. Raises ModelError, see CodesRunner."""
    _, _, listed = name.partition(":")
    formats = tuple(dict.fromkeys(part.strip() for part in listed.split(",") if part.strip()))
    runner = CodesRunner(formats)
    about = About(name=CODES, task="codes", labels=runner.formats, description="codes, read by zxing-cpp")
    manifest = Manifest(model=about, input=_INPUT, output=CodesHead())
    version = _version()
    ref = ModelRef(CODES, version, sha256_of(f"zxing-cpp {version} {','.join(formats)}".encode()))
    return _CodesPredictor(
        manifest, ref, runner, input_name=runner.input_name, output_names=runner.output_names, dtype="uint8"
    )


class _CodesPredictor(Predictor):
    def warm_up(self) -> Result:
        """On a small picture: there is no session whose memory would follow the input's size."""
        return self(np.full((64, 64, 3), 128, np.uint8))


@cache
def known_formats() -> tuple[str, ...]:
    """Names of the formats that can be read, as zxing-cpp calls them, sorted."""
    library = _library()
    return tuple(sorted(kind.name for kind in library.barcode_formats_list(library.BarcodeFormat.AllReadable)))


def _library() -> Any:
    try:
        import zxingcpp
    except ImportError as error:
        raise ModelError(
            "MODEL_EXTRA_ABSENT",
            "codes are read by a library that is not installed",
            str(error),
            'install the extra: pip install "jidoka-edge[codes]"',
        ) from error
    return zxingcpp


def _version() -> str:
    from importlib.metadata import version

    return version("zxing-cpp")


def _corners(position: Any) -> list[tuple[float, float]]:
    corners = (position.top_left, position.top_right, position.bottom_right, position.bottom_left)
    return [(corner.x, corner.y) for corner in corners]
