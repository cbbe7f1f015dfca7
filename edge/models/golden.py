"""Golden pictures: does the model give here what it gave where it was made?

Another runtime version, another CPU or a broken quantisation shows up as different raw outputs long before anybody
counts wrong verdicts. A variant's numbers differ from the start: of it, what is found in the picture is compared with
what the kept numbers say is in it.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import JidokaError, ModelError
from edge.models.bundle import Bundle, Golden
from edge.models.predictor import Predictor, Prepared, RawOutputs
from edge.vision import imageio

MAX_OUTPUT_BYTES = 256 * 1024**2
"""Of one golden file, unpacked: a small archive may claim to hold anything."""
LEAST_OF_ONE = 0.5
"""A variant must agree so far on each golden picture by itself."""


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
        prepared = predictor.preprocess(image)
        outputs = predictor.run(prepared)
        if found.variant:
            _compare_found(found, golden, predictor, prepared, outputs, wanted)
            continue
        seen = outputs.tensors
        for name, array in wanted.items():
            _compare(golden, name, array, seen.get(name))


def _compare_found(
    found: Bundle,
    golden: Golden,
    predictor: Predictor,
    prepared: Prepared,
    outputs: RawOutputs,
    wanted: dict[str, NDArray[Any]],
) -> None:
    """One picture tells a broken variant (another CPU computes int8 otherwise), not a slightly worse one."""
    from edge.models.variants.agreement import Seen, tally_for

    kept = predictor.postprocess(RawOutputs(wanted, 0.0, outputs.blob), prepared)
    seen = predictor.postprocess(outputs, prepared)
    tally = tally_for(predictor.head, kept)
    tally.add(Seen(kept, kept), Seen(seen, seen))
    if tally.value is not None and tally.value < LEAST_OF_ONE:
        raise ModelError(
            "MODEL_GOLDEN_MISSED",
            f"variant {found.variant!r} does not find in {golden.image} what the original found",
            f"{tally.value:.2f} of 1: {tally.figure}",
            "make it again on this machine with `jidoka model quantize`, or set [model] variant to 'original'",
        )


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
