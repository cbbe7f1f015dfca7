"""Golden pictures: does the model give here what it gave where it was made?

Another runtime version, another CPU or a broken quantisation shows up as different raw outputs long before anybody
counts wrong verdicts.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import JidokaError, ModelError
from edge.models.bundle import Bundle, Golden
from edge.models.predictor import Predictor
from edge.vision import imageio

MAX_OUTPUT_BYTES = 256 * 1024**2
"""Of one golden file, unpacked: a small archive may claim to hold anything."""


def check(found: Bundle, predictor: Predictor) -> None:
    """Run every golden picture of a bundle. Raises ModelError MODEL_GOLDEN_UNREADABLE or MODEL_GOLDEN_MISSED."""
    for golden in found.manifest.golden:
        try:
            image = imageio.decode(found.golden_files[golden.image])
            wanted = arrays_of(found.golden_files[golden.outputs])
        except (JidokaError, ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise ModelError(
                "MODEL_GOLDEN_UNREADABLE", f"golden picture {golden.image} cannot be checked", str(error)
            ) from error
        seen = predictor.run(predictor.preprocess(image)).tensors
        for name, array in wanted.items():
            _compare(golden, name, array, seen.get(name))


def arrays_of(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz``. Raises ValueError, OSError, EOFError, KeyError or zipfile.BadZipFile."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_OUTPUT_BYTES:
        raise ValueError(f"its outputs unpack to {size} bytes, at most {MAX_OUTPUT_BYTES} are read")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _compare(golden: Golden, name: str, wanted: NDArray[Any], seen: NDArray[Any] | None) -> None:
    if seen is None or seen.shape != wanted.shape:
        shape = "no such output" if seen is None else f"shape {list(seen.shape)}"
        why = f"output {name!r}: {shape}, wanted {list(wanted.shape)}"
    else:
        worst = float(np.abs(seen.astype(np.float64) - wanted).max(initial=0.0))
        if worst <= golden.tolerance:
            return
        why = f"output {name!r} differs by {worst:.3g}, at most {golden.tolerance:g} is allowed"
    raise ModelError(
        "MODEL_GOLDEN_MISSED",
        f"the model does not give on {golden.image} what it gave when it was made",
        why,
        "it is damaged, or this machine computes differently",
    )
