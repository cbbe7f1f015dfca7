"""Figures as a person would say them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from sims.report_lanes import clock
from sims.score_model import Goal, Score
from sims.virtual.fleet_score import FleetScore

GOALS = {
    "lost": "records lost",
    "doubled": "records or verdicts twice",
    "pending": "records not delivered at the end",
    "escapes": "bad parts that got through",
    "escape_pct": "of the bad parts got through, %",
    "overkill": "good parts rejected",
    "overkill_pct": "of the good parts rejected, %",
    "uninspected": "parts nobody inspected",
    "uninspected_not_held": "uninspected parts among the good ones",
    "wrong_part": "wrong parts rejected or let through",
    "late": "verdicts too late",
    "misframed": "parts judged by a wrong picture",
    "unsure": "parts the model was unsure of",
    "p50_ms": "trigger to verdict, half of them, ms",
    "p99_ms": "trigger to verdict, 99 of 100, ms",
    "max_ms": "trigger to verdict, worst, ms",
    "parts_min": "parts inspected, or seen",
    "rejects_min": "parts with a flaw above the limit",
    "recall_pct_min": "of the flaws above the limit found, %",
    "lag_p50_ms": "part to ledger, half of them, ms",
    "lag_p95_ms": "part to ledger, 95 of 100, ms",
    "lag_max_ms": "part to ledger, worst, ms",
    "caught_up_s": "after the shift until the ledger had all, s",
    "gaps": "records given up, and told so",
    "gaps_min": "records given up, and told so",
    "offline": "agents not online at the end",
    "unconverged": "agents without the wanted settings at the end",
    "refused_min": "agents that refused settings and said why",
    "unanswered": "questions without an answer at the end",
    "answered_min": "questions answered",
    "answer_p95_s": "a question waits, 95 of 100, s",
    "undelivered": "verdicts that did not reach the PLC",
    "stops_min": "times the line was stopped",
}


def goal_words(goal: Goal) -> str:
    """What a goal is about."""
    if goal.name.removesuffix("_min").isupper():
        return f"alarms {goal.name.removesuffix('_min')} in the ledger"
    return GOALS.get(goal.name, goal.name.replace("_", " "))


def count(n: int, one: str, many: str = "") -> str:
    """``no part``, ``1 part``, ``1,200 parts``."""
    return f"{'no' if n == 0 else f'{n:,}'} {one if n in {0, 1} else many or one + 's'}"


def lag_words(ms: float) -> str:
    """``80 ms``, ``4.2 s``, ``12 min``."""
    if ms < 1000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if ms < 60_000 else clock(ms / 1000)


def fleet_seen(score: FleetScore) -> str:
    """What was seen of a fleet, in two or three sentences."""
    said = [f"{score.agents:,} cells judged {score.parts:,} parts."]
    has = "The ledger has" if score.ledgers == 1 else "The lost ledger and the new one together have"
    whole = not (score.lost or score.pending or score.doubled)
    if whole and not score.gaps:
        said.append(f"{has} all {score.results:,} results that were journalled, each of them once.")
    elif whole:
        said.append(f"{has} {score.results:,} results, each once, and knows of {count(score.gaps, 'record')} given up.")
    else:
        wrong = _some([(score.lost, "lost"), (score.pending, "not delivered"), (score.doubled, "there twice")])
        said.append(f"{has} {score.results:,} results; {wrong}.")
    if score.lag_ms.max is not None and score.lag_ms.max > 5000:
        said.append(f"The latest of them came {clock(score.lag_ms.max / 1000)} after its part.")
    if score.caught_up_s is not None and score.caught_up_s > 2:
        said.append(f"It had everything {clock(score.caught_up_s)} after the shift.")
    if score.refused:
        said.append(f"{count(score.refused, 'cell').capitalize()} refused the settings and said why.")
    if score.unconverged:
        said.append(f"{count(score.unconverged, 'cell').capitalize()} still waited for settings.")
    if score.asked:
        wait = "" if score.answer_p95_s is None else f", 95 of 100 within {clock(score.answer_p95_s)}"
        said.append(f"People answered {score.answered:,} of {score.asked:,} questions{wait}.")
    if score.offline:
        said.append(f"{count(score.offline, 'cell').capitalize()} not online at the end.")
    return " ".join(said)


def line_seen(score: Score) -> str:
    """What was seen on a line, in two or three sentences."""
    passed = count(score.escapes, "bad part") + " got through"
    said = [
        f"{score.parts:,} parts, {score.grades['reject']:,} of them bad: {passed}, {score.overkill} rejected in vain."
    ]
    if score.uninspected:
        held = score.uninspected - score.uninspected_not_held
        of = "every one was rejected or held" if not score.uninspected_not_held else f"{held} were rejected or held"
        said.append(f"{count(score.uninspected, 'part').capitalize()} could not be inspected; {of}.")
    wrong = _some([(score.lost, "lost"), (score.doubled, "there twice")])
    said.append(f"Records: {wrong}." if wrong else "Every record is in the ledger, once.")
    if score.latency_ms.p50 is not None:
        said.append(f"A verdict took {score.latency_ms.p50:.0f} ms, at worst {score.latency_ms.max or 0:.0f} ms.")
    return " ".join(said)


def _some(pairs: Iterable[tuple[int, str]]) -> str:
    return ", ".join(f"{n:,} {word}" for n, word in pairs if n)


def fleet_figures(score: FleetScore) -> tuple[tuple[str, str], ...]:
    """The row of figures under a fleet's picture."""
    lag = score.lag_ms.p50
    figures = [
        ("cells", f"{score.agents:,}"),
        ("parts", f"{score.parts:,}"),
        ("lost / doubled", f"{score.lost} / {score.doubled}"),
        ("sent again", f"{score.resent:,}"),
        ("part to ledger, half within", "–" if lag is None else lag_words(lag)),
        ("95 of 100 within", "–" if score.lag_p95_ms is None else lag_words(score.lag_p95_ms)),
        ("processes begun", f"{score.starts:,}"),
    ]
    if score.asked:
        figures.append(("questions", f"{score.answered:,} of {score.asked:,}"))
        figures.append(("answered wrong", f"{score.misjudged:,}"))
    if score.gaps:
        figures.append(("records given up", f"{score.gaps:,}"))
    return tuple(figures)


def line_figures(score: Score) -> tuple[tuple[str, str], ...]:
    """The row of figures under a line's picture."""
    p99 = score.latency_ms.p99
    return (
        ("parts", f"{score.parts:,}"),
        ("truly bad", f"{score.grades['reject']:,}"),
        ("got through", f"{score.escapes}"),
        ("rejected in vain", f"{score.overkill_pct:g} %"),
        ("not inspected", f"{score.uninspected}"),
        ("of them not held", f"{score.uninspected_not_held}"),
        ("lost / doubled", f"{score.lost} / {score.doubled}"),
        ("to verdict, 99 of 100", "–" if p99 is None else f"{p99:.0f} ms"),
    )
