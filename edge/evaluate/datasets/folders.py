"""Folders a class (of pictures, or of tables of samples where there are none), and MVTec's layout with masks (``test/<defect>/*.png``, ``ground_truth/<defect>/*_mask.png``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edge.errors import InputError
from edge.evaluate.datasets.files import (
    MAX_CLASSES,
    MAX_SAMPLES,
    is_picture,
    is_table,
    name_of,
    pictures,
    subfolders,
    under,
)
from edge.evaluate.truth import Dataset, Sample, is_good, too_large

_SPLITS = ("test", "val", "valid", "validation")


def read_folders(root: Path) -> Dataset:
    """The folders of ``root``, or of its ``test`` or ``val`` where there is one, each a class."""
    top = next((root / split for split in _SPLITS if (root / split).is_dir()), root)
    folders = subfolders(top)
    wanted, noun = is_picture, "pictures"
    if not any(next(under(folder), None) for folder in folders):
        wanted, noun = is_table, "tables"
    classes = [folder for folder in folders if next(under(folder, wanted=wanted), None) is not None]
    if len(classes) > MAX_CLASSES:
        raise too_large(top, "folders", MAX_CLASSES)
    if not classes:
        raise InputError(
            "DATASET_EMPTY", f"{top} has no folder with pictures or tables in it", "", "see the guide on data sets"
        )
    truth = root / "ground_truth"
    samples: list[Sample] = []
    for folder in classes:
        for path, mask in _with_masks(folder, truth / folder.name if truth.is_dir() else None, wanted):
            good = is_good(folder.name)
            masked = mask is not None or (truth.is_dir() and good)
            samples.append(
                Sample(path, name_of(path, root), label=folder.name, mask=mask, empty_mask=masked and mask is None)
            )
            if len(samples) > MAX_SAMPLES:
                raise too_large(root, "pictures", MAX_SAMPLES)
    names = tuple(folder.name for folder in classes)
    split = "" if top == root else f" in {top.name}/"
    masks = sum(s.mask is not None for s in samples)
    with_masks = f", {masks} with a mask" if masks else ""
    said = (f"folders{split}, one a class: {_shown(names)}; {len(samples)} {noun}{with_masks}",)
    return Dataset("folders", root, tuple(samples), names, said)


def _with_masks(folder: Path, truth: Path | None, wanted: Callable[[Path], bool]) -> list[tuple[Path, Path | None]]:
    """Files of a class, and the mask of each where there is one: in ``truth``, or of the same name beside it."""
    if wanted is is_table:
        return [(path, None) for path in under(folder, wanted=wanted)]
    if truth is not None:
        masks = {path.stem.removesuffix("_mask"): path for path in pictures(truth)} if truth.is_dir() else {}
        return [(path, masks.get(path.stem)) for path in under(folder)]
    return pairs(list(under(folder)))


def pairs(paths: Sequence[Path]) -> list[tuple[Path, Path | None]]:
    """Pictures with the mask beside them: ``name_mask.png``, or ``name.png`` beside ``name.jpg``."""
    photos = {path.with_suffix("") for path in paths if path.suffix.lower() in {".jpg", ".jpeg", ".bmp"}}
    stems = {path.with_suffix("") for path in paths}
    masks: dict[Path, Path] = {}
    for path in paths:
        bare = path.with_suffix("")
        for ending in ("_mask", "_gt"):
            owner = bare.with_name(bare.name.removesuffix(ending))
            if bare.name.endswith(ending) and owner in stems:
                masks[owner] = path
        if path.suffix.lower() == ".png" and bare in photos:
            masks[bare] = path
    taken = set(masks.values())
    return [(path, masks.get(path.with_suffix(""))) for path in paths if path not in taken]


def _shown(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
