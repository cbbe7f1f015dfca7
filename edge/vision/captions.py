"""What is written beside a thing that was found: its label and score, or what was read, and what a next model saw in it."""

from __future__ import annotations

from edge.vision.prediction import Anomaly, Prediction

MAX_CHARS = 80
_READ = {"ocr", "codes"}


def caption(prediction: Prediction, row: int) -> str:
    """One line for a row."""
    words = _words(prediction, row)
    inner = prediction.nested[row] if row < len(prediction.nested) else None
    seen = [] if inner is None else [summary(one) for one in (inner, *inner.beside)]
    return ": ".join(filter(None, (words, ", ".join(filter(None, seen)))))


def summary(prediction: Prediction, most: int = 3) -> str:
    """The first few rows in a line; of a classification the likeliest class."""
    n = 1 if prediction.task == "classify" else most
    words = [_words(prediction, row) for row in range(min(len(prediction), n))]
    left = 0 if prediction.task == "classify" else len(prediction) - n
    return ", ".join([*words, *([f"{left} more"] if left > 0 else [])])


def _words(prediction: Prediction, row: int) -> str:
    if prediction.task in _READ:
        return shortened(prediction.texts[row])
    words = f"{prediction.names[row]} {prediction.scores[row]:.2f}"
    areas_mm2 = prediction.areas_mm2
    if prediction.task == "segment" and areas_mm2 is not None:
        words += f" {areas_mm2[row]:.2g} mm²"
    return words


def against_limit(anomaly: Anomaly) -> str:
    """``anomalous, score 14.2 (limit 12.3)``: both in the model's own unit."""
    score = _digits(anomaly.score)
    if anomaly.threshold == float("inf"):
        return f"score {score}, no limit yet: jidoka model calibrate"
    judged = "like good ones" if anomaly.score < anomaly.threshold else "anomalous"
    return f"{judged}, score {score} (limit {_digits(anomaly.threshold)})"


def _digits(value: float) -> str:
    """Three that matter, without an exponent where a person can read it."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"  # noqa: PLR2004  (1.23e+03 is nobody's number)


def shortened(text: str) -> str:
    """On one line, at most ``MAX_CHARS``; control characters of codes as a middle dot."""
    clean = "".join(c if c.isprintable() else "·" for c in " ".join(text.split()))
    return clean if len(clean) <= MAX_CHARS else clean[: MAX_CHARS - 1] + "…"
