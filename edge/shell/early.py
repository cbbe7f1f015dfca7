"""The first model of a daemon, begun before the rest of the house is read.

::

    caller      ┌─ import the runtime ─┬─ import the rest ─ result() ─ build the rooms ─▶ first frame
    thread load └─ read, hash ─────────┴─ guard ─ session ─┴─ warm-up frame ────────────┘

Reading, making a session and running it hold no interpreter lock: they cost a start hardly any time of its own.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from edge.models.series.manifest import SeriesBundle, read_model
from edge.models.stages import is_codes

if TYPE_CHECKING:
    from edge.config.agent import GuardConfig, ModelConfig
    from edge.models.bundle import BareFile, Bundle
    from edge.models.predictor import Predictor
    from edge.models.series.predictor import SeriesPredictor


class EarlyModel:
    """Reads, guards and loads a model in a thread of its own, for which nobody need wait who wants it no more."""

    def __init__(self, path: Path, model: ModelConfig, guard: GuardConfig) -> None:
        self.model = model
        self._guard = guard
        self._path = path
        self._predictor: Predictor | SeriesPredictor | None = None
        self._error: Exception | None = None
        self._imported = threading.Event()
        self._loaded = threading.Event()
        self._answered = False
        self._thread = threading.Thread(target=self._load, name="load", daemon=True)
        self._thread.start()
        # numpy and the runtime; here, as two threads that import at once only get in each other's way.
        try:
            import edge.models.admit  # noqa: F401
        finally:
            self._imported.set()

    def result(self) -> Predictor | SeriesPredictor:
        """Wait until it is loaded. Raises ModelError."""
        self._loaded.wait()
        if self._predictor is None:
            assert self._error is not None
            raise self._error
        return self._predictor

    def warmed(self) -> bool:
        """Wait until its warm-up frame came back; whether it was answered."""
        self._thread.join()
        return self._answered

    def _load(self) -> None:
        try:
            if is_codes(str(self._path)):
                self._imported.wait()
                self._predictor = self._builtin()
            else:
                found = read_model(self._path)
                self._imported.wait()
                self._predictor = self._series(found) if isinstance(found, SeriesBundle) else self._predictor_of(found)
            self._loaded.set()
            self._predictor.warm_up()
            self._answered = True
        except Exception as error:  # noqa: BLE001 - raised on the caller's thread, or found again by the worker's warm-up
            self._error = error
            self._loaded.set()

    def _series(self, found: SeriesBundle) -> SeriesPredictor:
        from edge.models.admit import limits_of, wish_of
        from edge.models.series.loading import predictor_of

        limits, wish = limits_of(self.model, self._guard), wish_of(self.model)
        return predictor_of(found, self.model.min_score, limits=limits, wish=wish)

    def _builtin(self) -> Predictor:
        from edge.models.loading import load

        return load(self._path, min_score=self.model.min_score)

    def _predictor_of(self, found: Bundle | BareFile) -> Predictor:
        from edge.models.admit import admit, limits_of, wish_of

        limits = limits_of(self.model, self._guard)
        admitted = admit(found, limits=limits, wish=wish_of(self.model))
        from edge.models.loading import predictor_of

        return predictor_of(admitted, self.model.min_score, limits=limits)
