"""The first model of a daemon, begun before the rest of the house is read.

::

    caller      guard ── import, build the rooms ────────── result() ─ … ─▶ first frame
    thread load       └─ session ─ predictor ─┴─ warm-up frame ─┘

Making a session and running it hold no interpreter lock, so they cost a start hardly any time of its own.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import JidokaError

if TYPE_CHECKING:
    from edge.config.agent import ModelConfig
    from edge.models.admit import Admitted
    from edge.models.predictor import Predictor


class EarlyModel:
    """Guards the model on the calling thread, which a Ctrl-C can end (a trial may take long), then loads it in another.

    That one is a daemon thread: nobody need wait for it who does not want the model any more.
    """

    def __init__(self, path: Path, model: ModelConfig) -> None:
        self.model = model
        self._predictor: Predictor | None = None
        self._error: Exception | None = None
        self._loaded = threading.Event()
        self._answered = False
        # numpy and the runtime: two threads that import at once only get in each other's way, so not in ours.
        from edge.models.admit import admit_model

        self._thread: threading.Thread | None = None
        try:
            admitted = admit_model(path, model)
        except JidokaError as error:  # said by who knows where in the settings the model is named
            self._error = error
            self._loaded.set()
        else:
            self._thread = threading.Thread(target=self._load, args=(admitted,), name="load", daemon=True)
            self._thread.start()

    def result(self) -> Predictor:
        """Wait until it is loaded. Raises ModelError."""
        self._loaded.wait()
        if self._predictor is None:
            assert self._error is not None
            raise self._error
        return self._predictor

    def warmed(self) -> bool:
        """Wait until its warm-up frame came back; whether it was answered."""
        if self._thread is not None:
            self._thread.join()
        return self._answered

    def _load(self, admitted: Admitted) -> None:
        try:
            from edge.models.runner import OnnxRunner

            runner = OnnxRunner(admitted.bundle.onnx)
            from edge.models.loading import predictor_of

            self._predictor = predictor_of(admitted, self.model.min_score, runner)
            self._loaded.set()
            self._predictor.warm_up()
            self._answered = True
        except Exception as error:  # noqa: BLE001 - raised on the caller's thread, or found again by the worker's warm-up
            self._error = error
            self._loaded.set()
