"""Pictures with masks: a folder of each, or both side by side."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.errors import InputError, JidokaError
from edge.evaluate.datasets.files import MAX_SAMPLES, name_of, read_text, under
from edge.evaluate.datasets.folders import pairs
from edge.evaluate.truth import Dataset, Sample, too_large
from edge.models.files import read_bounded
from edge.vision import imageio

PICTURES = ("images", "image", "imgs", "img", "pictures")
MASKS = ("masks", "mask", "labels", "annotations", "ground_truth", "gt")
_LOOKED_AT = 32
_WHITE = 255


def folders_of(root: Path) -> tuple[Path, Path] | None:
    """The folder of pictures and the folder of masks in ``root``, or None."""
    photos = next((root / name for name in PICTURES if (root / name).is_dir()), None)
    masks = next((root / name for name in MASKS if (root / name).is_dir()), None)
    if photos is None or masks is None or next(under(masks), None) is None:
        return None
    return photos, masks


def read_masks(root: Path) -> Dataset:
    """``images/`` and ``masks/`` with files of the same name (``_mask`` may follow it), or pictures with masks beside.

    ``classes.txt``, one name a line, names the numbers of indexed masks, from 1.
    """
    both = folders_of(root)
    if both is None:
        found = [(path, mask) for path, mask in pairs(list(under(root))) if mask is not None]
        how = "pictures with masks beside them"
    else:
        masks = {path.stem.removesuffix("_mask"): path for path in under(both[1])}
        found = [(path, masks[path.stem]) for path in under(both[0]) if path.stem in masks]
        how = f"pictures in {both[0].name}/, masks in {both[1].name}/"
    if not found:
        raise InputError("DATASET_EMPTY", f"{root} has no picture with a mask", "names must be alike")
    if len(found) > MAX_SAMPLES:
        raise too_large(root, "pictures", MAX_SAMPLES)
    names = root / "classes.txt"
    classes = tuple(line.strip() for line in read_text(names).splitlines() if line.strip()) if names.is_file() else ()
    indexed = are_indexed([mask for _, mask in found])
    if indexed and not classes:
        classes = tuple(f"class_{number}" for number in range(1, indexed + 1))
    samples = tuple(Sample(p, name_of(p, root), mask=m, indexed=bool(indexed)) for p, m in found)
    kind = f"class numbers up to {indexed}" if indexed else "marked or not"
    return Dataset("masks", root, samples, classes, (f"{how}: {len(samples)}; masks say {kind}",))


def are_indexed(masks: list[Path]) -> int:
    """The highest class number where masks hold class numbers, 0 where they only say marked or not.

    Looked at in a few spread over the set. Numbers other than 0, 255 and one more mean classes; so does a single low
    number in several masks that differs from one to the next. JPEG has no exact values, so never.
    """
    step = max(1, len(masks) // _LOOKED_AT)
    seen: set[int] = set()
    for path in masks[::step]:
        if path.suffix.lower() in {".jpg", ".jpeg"}:
            return 0
        try:
            seen |= set(np.unique(load_mask(path)).tolist())
        except JidokaError:
            continue  # said when its picture's turn comes
    numbers = seen - {0, _WHITE}
    return max(numbers) if len(numbers) > 1 and max(numbers) <= len(numbers) * 8 else 0


def load_mask(path: Path) -> np.ndarray:
    """uint8 ``(h, w)``: as stored where the file is grey or has a palette of greys; of colours the brightest channel.

    Raises ImageError.
    """
    data = read_bounded(path, imageio.DEFAULT_LIMITS.max_bytes, "IMAGE")
    info = imageio.probe(data)
    imageio.check_size(info.width_px, info.height_px)
    gray = imageio.decode(data)
    if (gray[..., 0] == gray[..., 1]).all() and (gray[..., 1] == gray[..., 2]).all():
        return np.ascontiguousarray(gray[..., 0])
    return np.asarray(cv2.reduce(gray.reshape(-1, 3), 1, cv2.REDUCE_MAX), np.uint8).reshape(gray.shape[:2])
