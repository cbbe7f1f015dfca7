"""From a model and a data set to an evaluation: one picture at a time, nothing of it kept but figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from msgspec import Struct

from edge.domain import ModelRef
from edge.errors import ImageError, InputError, JidokaError
from edge.evaluate.inspection import FLOOR, Again, inspect_records, plots_of
from edge.evaluate.names import Names, names_of
from edge.evaluate.results import Evaluation, Failed, Inspection, Record, Scored
from edge.evaluate.scorers.areas import AreaScorer
from edge.evaluate.scorers.base import Scorer, Seen
from edge.evaluate.scorers.objects import ObjectScorer
from edge.evaluate.scorers.whole import ClassScorer, GoodBadScorer
from edge.evaluate.scorers.words import TextScorer, ValueScorer
from edge.evaluate.truth import Dataset, Sample
from edge.models.files import read_bounded
from edge.ports import Image
from edge.series.table import MAX_TABLE_BYTES, parse_table
from edge.vision import imageio
from edge.vision.prediction import Prediction


class Model(Protocol):
    """What is asked of a model: a predictor, a cascade, anything that answers as one."""

    manifest: Any
    ref: ModelRef

    @property
    def labels(self) -> tuple[str, ...]:
        """What it can find."""
        ...

    def with_min_score(self, min_score: float) -> Model:
        """The same with one threshold for all labels."""
        ...

    def __call__(self, image: Any, mm_per_px: float | None = None) -> Prediction:
        """Frame in, prediction out."""
        ...


class Settings(Struct, frozen=True):
    """What the user may say. ``renames``: class of the data set -> label of the model. ``good``: classes and labels
    that mean that nothing is wrong; by default told by their names.
    """

    renames: dict[str, str] = {}
    good: frozenset[str] = frozenset()
    escape_rate: float = 0.01
    confidence: float = 0.95
    mm_per_px: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """One frame, run through the model once; decoded as often as needed where the model's parts can be had."""

    found: Prediction
    at: Again


def load_picture(sample: Sample) -> Image:
    """Decode a sample's picture. Raises ImageError."""
    return imageio.decode(read_bounded(sample.file, imageio.DEFAULT_LIMITS.max_bytes, "IMAGE"))


def inputs_of(model: Any, sample: Sample) -> Iterator[tuple[str, Any]]:
    """What of a sample goes into the model, with names: its picture, or each window of its table."""
    if not hasattr(model, "windows"):
        yield sample.name, load_picture(sample)
        return
    table = parse_table(read_bounded(sample.file, MAX_TABLE_BYTES, "FILE"), sample.name)
    for number, window in enumerate(model.windows(table, sample.name)):
        yield f"{sample.name}#{number}", window.values


def look(model: Any, image: Any, mm_per_px: float | None) -> Looked:
    """Run a frame; a model that has ``preprocess``, ``run`` and ``postprocess`` runs once for all thresholds."""
    if all(hasattr(model, part) for part in ("preprocess", "run", "postprocess")):
        prepared = model.preprocess(image)
        raw = model.run(prepared)

        def at(score: float) -> Prediction:
            found: Prediction = model.with_min_score(score).postprocess(raw, prepared, mm_per_px)
            return found

        return Looked(model.postprocess(raw, prepared, mm_per_px), at)
    return Looked(model(image, mm_per_px), lambda score: model.with_min_score(score)(image, mm_per_px))


class Evaluator:
    """Takes the samples one by one; :meth:`finish` gives the figures of those that were taken, also after a break."""

    def __init__(self, model: Model, dataset: Dataset, settings: Settings) -> None:
        self.model = model
        self.dataset = dataset
        self.settings = settings
        self.records: list[Record] = []
        self.failed: list[Failed] = []
        self.names: Names | None = None
        self._scorer: Scorer | None = None
        self._task = ""
        self._ms = 0.0
        self._anomaly = False
        self.taken = 0
        self._anomaly_threshold: float | None = None

    def run(self) -> Iterator[Sample]:
        """Judge every sample, yielding it afterwards. A picture that cannot be judged is kept as failed.

        Raises InputError DATASET_UNFIT where the data set does not say what the model's task needs.
        """
        for index, sample in enumerate(self.dataset.samples):
            try:
                for name, image in inputs_of(self.model, sample):
                    self._take(index, replace(sample, name=name), image)
            except (ImageError, InputError) as error:
                if error.code == "DATASET_UNFIT" and not self.records:
                    raise
                self.failed.append(failed(sample.name, error))
            self.taken += 1
            yield sample

    def _take(self, index: int, sample: Sample, image: Any) -> None:
        looked = look(self.model, image, self.settings.mm_per_px)
        found = looked.found
        if self._scorer is None:
            self._task = "instances" if found.instances else found.task
            self.names = self._names(found)
            self._anomaly = found.anomaly is not None
            self._scorer = scorer_for(found, self.dataset, self.names, self.settings)
        timings = found.timings
        self._ms += timings.preprocess_ms + timings.infer_ms + timings.postprocess_ms
        if found.anomaly is not None and found.anomaly.threshold != float("inf"):
            self._anomaly_threshold = float(found.anomaly.threshold)
        needs_low = found.anomaly is None and found.task not in {"ocr", "codes", "raw"}
        low = looked.at(0.0 if found.task in {"classify", "series"} else FLOOR) if needs_low else found
        again = looked.at if found.task == "segment" and not found.instances else None
        height, width = image.shape[:2]
        self.records.append(self._scorer.take(Seen(index, sample, height, width, found, low, again)))

    def _names(self, found: Prediction) -> Names:
        whole = found.task in {"classify", "series"}
        labels = self.model.labels or found.labels
        names = names_of(labels, self.dataset, self.settings.renames, self.settings.good, whole=whole)
        if found.anomaly is not None:
            return replace(names, labels=("anomaly",), numbers={}, agnostic=True, notes=())
        return names

    def finish(self) -> Evaluation:
        """Raises InputError DATASET_EMPTY where nothing could be judged."""
        if self._scorer is None or not self.records:
            first = self.failed[0] if self.failed else None
            why = "" if first is None else f"the first: {first.code}: {first.what}"
            raise InputError("DATASET_EMPTY", f"no picture of {self.dataset.root} could be judged", why)
        scored = self._scorer.scored()
        assert self.names is not None
        notes = [*self.names.notes, *scored.notes]
        inspection = self._inspect(scored, notes)
        ms = self._ms / len(self.records)
        return Evaluation(
            self._task, tuple(self.records), scored, inspection, tuple(self.failed), tuple(notes), round(ms, 3)
        )

    def _inspect(self, scored: Scored, notes: list[str]) -> Inspection | None:
        anomaly = self._anomaly
        threshold = self._anomaly_threshold if anomaly else self._working_threshold()
        floor = -float("inf") if anomaly or self._task in {"classify", "series"} else 0.0
        settings = self.settings
        found = inspect_records(self.records, threshold, settings.escape_rate, settings.confidence, floor)
        if found is None:
            if any(record.bad is not None for record in self.records):
                kind = "bad" if not any(record.bad for record in self.records) else "good"
                notes.append(f"no escapes and overkill: there is no {kind} picture")
            return None
        inspection, curve = found
        scored.plots = [*plots_of(curve, inspection), *scored.plots]
        if anomaly and threshold is None:
            notes.append("the model has no threshold yet: see jidoka model calibrate")
        elif self._task in {"classify", "series"}:
            notes.append(
                "a picture is rejected where its likeliest class is not a good one; curves are over 1 - the score of good"
            )
        elif not anomaly:
            notes.append(
                "a picture is rejected where anything is found at the working thresholds; curves use one for all labels"
            )
        return inspection

    def _working_threshold(self) -> float | None:
        thresholds = getattr(self.model.manifest, "thresholds", None)
        if thresholds is None or self._task in {"classify", "series"}:
            return None
        return None if thresholds.labels else float(thresholds.score)


def failed(source: str, error: JidokaError) -> Failed:
    """What takes the place of a picture that could not be judged."""
    return Failed(source, error.code, "; ".join(filter(None, (error.what, error.why))))


def scorer_for(found: Prediction, dataset: Dataset, names: Names, settings: Settings) -> Scorer:
    """The scorer of a task on such a truth. Raises InputError DATASET_UNFIT."""
    samples = dataset.samples
    objects = any(s.things is not None or s.has_mask for s in samples)
    labelled = any(s.label is not None for s in samples)
    makers: list[tuple[bool, bool, Callable[[], Scorer]]] = [
        (
            found.task in {"ocr", "codes"},
            any(s.texts is not None for s in samples),
            lambda: TextScorer(settings.confidence),
        ),
        (bool(found.values), any(s.values for s in samples), ValueScorer),
        (
            found.anomaly is not None,
            objects or labelled,
            lambda: AreaScorer(names, dataset.classes, settings.confidence),
        ),
        (found.task in {"classify", "series"}, labelled, lambda: ClassScorer(names, settings.confidence)),
        (found.task in {"detect", "keypoints"} or found.instances, objects, lambda: ObjectScorer(names)),
        (
            found.task == "segment",
            objects,
            lambda: AreaScorer(names, dataset.classes, settings.confidence),
        ),
        (found.task in {"detect", "keypoints", "segment"}, labelled, lambda: GoodBadScorer(names)),
    ]
    for right_task, right_truth, make in makers:
        if right_task and right_truth:
            return make()
    raise InputError(
        "DATASET_UNFIT",
        f"the data set ({dataset.kind}) does not say what a model for {found.task} needs",
        _NEEDS.get(found.task, "its task cannot be measured"),
        "see the guide on evaluation",
    )


_NEEDS = {
    "classify": "a class a picture is needed: folders, or CSV with file,label",
    "series": "a class or numbers a window are needed: CSV",
    "detect": "boxes are needed: COCO, YOLO, CSV; or good and bad folders",
    "keypoints": "points are needed: COCO",
    "segment": "masks or outlines are needed; or good and bad folders",
    "anomaly": "good and bad folders or masks are needed",
    "ocr": "texts are needed: CSV with file,text",
    "codes": "texts are needed: CSV with file,text",
}
