"""Whose word is whose: classes of the data set and labels of the model."""

from __future__ import annotations

from dataclasses import dataclass

from edge.errors import ConfigError
from edge.evaluate.truth import Dataset, is_good, plain

ANY = "defect"
"""The one class where classes cannot be compared."""


@dataclass(frozen=True, slots=True)
class Names:
    """``labels`` are numbered from 0: the model's, then classes that only the data set has.

    ``agnostic``: everything is :data:`ANY`; the truth says where, not what. ``notes``: what was assumed.
    """

    labels: tuple[str, ...]
    numbers: dict[str, int]
    good: frozenset[str]
    agnostic: bool = False
    notes: tuple[str, ...] = ()

    def number(self, name: str) -> int:
        """Of a class of the data set or a label of the model."""
        return 0 if self.agnostic else self.numbers[name]

    def is_good(self, name: str) -> bool:
        """True for a class that means that nothing is wrong."""
        return is_good(name, self.good)


def names_of(
    labels: tuple[str, ...], dataset: Dataset, renames: dict[str, str], good: frozenset[str], *, whole: bool
) -> Names:
    """Match classes to labels: as ``renames`` says, else by the same word, capitals and gaps aside.

    ``whole``: classes are of whole pictures, so that they cannot be left out of account. Raises ConfigError
    NAME_UNKNOWN.
    """
    unknown = [
        f"--map {a}={b}"
        for a, b in renames.items()
        if b not in labels or (dataset.classes and a not in dataset.classes)
    ]
    unknown += [f"--good {name}" for name in sorted(good) if name not in {*dataset.classes, *labels}]
    if unknown:
        known = ", ".join([*dataset.classes[:6], *labels[:6]])
        raise ConfigError("NAME_UNKNOWN", f"{unknown[0]} names no class", f"there are {known}", "see jidoka model show")
    by_word = {plain(label): label for label in reversed(labels)}
    owners = {c: renames.get(c) or (c if c in labels else by_word.get(plain(c))) for c in dataset.classes}
    matched = [c for c, label in owners.items() if label is not None]
    defects = [c for c in dataset.classes if not is_good(c, good)]
    missing = [c for c in defects if owners[c] is None]
    if not whole and (not matched or (missing and _only_masks(dataset))) and len({*labels}) >= 1:
        notes: tuple[str, ...] = ()
        if dataset.classes or (len(labels) > 1 and _only_masks(dataset)):
            notes = (
                "classes are not compared, only where something is: the data set's are not the model's (see --map)",
            )
        return Names((ANY,), {}, good, agnostic=True, notes=notes)
    extra = tuple(c for c in dataset.classes if owners[c] is None)
    numbers = {label: n for n, label in enumerate((*labels, *extra))}
    numbers |= {c: numbers[label] for c, label in owners.items() if label is not None}
    said = [f"the model has no label for: {', '.join(missing[:8])} (see --map)"] if missing else []
    return Names((*labels, *extra), numbers, good, notes=tuple(said))


def _only_masks(dataset: Dataset) -> bool:
    return any(s.mask is not None and not s.indexed for s in dataset.samples)
