"""Plots of the report as inline SVG: no library, no script, sharp at any size. Pure: values in, text out.

Colours are CSS classes of the report's style sheet, so that both its light and its dark dress fit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from html import escape

from sims.faults import Fault
from sims.score_model import Outcome, RecallBin

WIDTH = 1040
_LEFT, _RIGHT, _TOP = 52, 12, 26
_PLOT_H = 210
_LANE_H = 18


def timeline(outcomes: Sequence[Outcome], faults: Sequence[tuple[Fault, float, float]], line_s: float) -> str:
    """Latency of every part over line time, coloured by what became of it, with the faults as bands behind."""
    span_s = max(line_s, 1.0)
    measured = [o.truth.latency_ms for o in outcomes if o.truth.latency_ms is not None]
    top_ms = _nice(max([*measured, 10.0]) * 1.08)
    lanes = _lanes(faults)
    plot_top = _TOP + _LANE_H * (1 + max(lanes.values(), default=-1))
    height = plot_top + _PLOT_H + 58

    def x(t_s: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, t_s / span_s))

    def y(ms: float) -> float:
        return plot_top + _PLOT_H * (1.0 - min(1.0, ms / top_ms))

    out = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Latency and faults over time">']
    for number, (fault, began, ended) in enumerate(faults):
        left, wide = x(began), max(2.0, x(ended) - x(began))
        lane_y = 4 + lanes[number] * _LANE_H
        out.append(
            f'<rect class="band" x="{left:.1f}" y="{lane_y}" width="{wide:.1f}" height="{plot_top + _PLOT_H - lane_y}"/>'
        )
        out.append(
            f'<text class="fault" x="{left + 4:.1f}" y="{lane_y + 13}">{escape(fault.kind.replace("_", " "))}</text>'
        )
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        ms = top_ms * share
        out.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(ms):.1f}" y2="{y(ms):.1f}"/>')
        out.append(f'<text class="tick" x="{_LEFT - 6}" y="{y(ms) + 4:.1f}" text-anchor="end">{ms:g}</text>')
    axis_y = plot_top + _PLOT_H + 44
    out += [
        f'<text class="tick" x="{x(t_s):.1f}" y="{axis_y}" text-anchor="middle">{t_s:g} s</text>'
        for t_s in _ticks(span_s)
    ]
    out.append(f'<text class="tick" x="{_LEFT}" y="{plot_top - 8}">ms, trigger to verdict at the PLC</text>')
    rug_y = plot_top + _PLOT_H + 10
    for o in outcomes:
        t_x = x(o.truth.trigger_ns / 1e9)
        kind, said = dot_of(o)
        title = f"<title>part {o.truth.part_no}: {escape(said)}</title>"
        if o.truth.latency_ms is None:
            out.append(f'<rect class="{kind}" x="{t_x - 1.5:.1f}" y="{rug_y}" width="3" height="14">{title}</rect>')
        else:
            radius = 5 if kind in {"escape", "overkill", "wrong"} else 2.6
            out.append(
                f'<circle class="{kind}" cx="{t_x:.1f}" cy="{y(o.truth.latency_ms):.1f}" r="{radius}">{title}</circle>'
            )
    out.append(f'<text class="tick" x="{_LEFT - 6}" y="{rug_y + 11}" text-anchor="end">none</text></svg>')
    return "".join(out)


def recall(bins: Sequence[RecallBin]) -> str:
    """Found of all, by kind and size, as bars."""
    by_kind: dict[str, list[RecallBin]] = defaultdict(list)
    for one in bins:
        by_kind[one.kind].append(one)
    if not by_kind:
        return '<p class="quiet">No defect was on an inspected part.</p>'
    wide, high = 250, 150
    out = []
    for kind, cells in by_kind.items():
        svg = [f'<figure><figcaption>{escape(kind)}</figcaption><svg viewBox="0 0 {wide} {high + 44}" role="img">']
        step = (wide - 10) / 5
        svg.append(f'<line class="grid" x1="0" x2="{wide}" y1="{high}" y2="{high}"/>')
        for cell in cells:
            column = (0.0, 0.5, 1.0, 1.5, 2.5).index(cell.ratio_from)
            share = cell.found / cell.defects
            left, bar = 5 + column * step, 18 + (high - 18) * (1.0 - share)
            style = "must" if cell.ratio_from >= 1.0 else "may"
            title = f"<title>{cell.found} of {cell.defects} found</title>"
            svg.append(
                f'<rect class="{style}" x="{left + 3:.1f}" y="{bar:.1f}" width="{step - 6:.1f}" height="{high - bar:.1f}" rx="2">{title}</rect>'
            )
            middle = left + step / 2
            svg.append(
                f'<text class="tick" x="{middle:.1f}" y="{bar - 4:.1f}" text-anchor="middle">{cell.found}/{cell.defects}</text>'
            )
        for column, label in enumerate(("<½", "½–1", "1–1½", "1½–2½", ">2½")):
            svg.append(
                f'<text class="tick" x="{5 + column * step + step / 2:.1f}" y="{high + 16}" text-anchor="middle">{escape(label)}</text>'
            )
        svg.append(
            f'<text class="tick" x="{wide / 2}" y="{high + 36}" text-anchor="middle">size ÷ limit</text></svg></figure>'
        )
        out.append("".join(svg))
    return "".join(out)


def dot_of(o: Outcome) -> tuple[str, str]:
    """(CSS class, words) of one part."""
    truth = o.truth
    ms = f", {truth.latency_ms:.1f} ms" if truth.latency_ms is not None else ""
    said = f"{o.fact.grade}, verdict {o.decision}, {truth.fate}{ms}"
    if o.wrong_part:
        return "wrong", f"wrong part: {said}"
    if o.escape:
        return "escape", f"escape: {said}"
    if o.overkill:
        return "overkill", f"overkill: {said}"
    if o.uninspected or truth.latency_ms is None:
        return "none", said
    return {"pass": "pass", "fail": "fail"}.get(o.decision, "unsure"), said


def _lanes(faults: Sequence[tuple[Fault, float, float]]) -> dict[int, int]:
    """Which lane each fault's label goes to, so that none is written over another."""
    ends: list[float] = []
    lanes: dict[int, int] = {}
    for number, (_, began, ended) in sorted(enumerate(faults), key=lambda pair: pair[1][1]):
        lane = next((i for i, end in enumerate(ends) if end <= began), len(ends))
        ends[lane : lane + 1] = [max(ended, began + 8.0)]
        lanes[number] = lane
    return lanes


def _nice(value: float) -> float:
    """The next 1, 2, 2.5, 4, 5 or 8 times a power of ten."""
    power = 1.0
    while power * 10.0 <= value:
        power *= 10.0
    return next(step * power for step in (1.0, 2.0, 2.5, 4.0, 5.0, 8.0, 10.0) if step * power >= value)


def _ticks(span_s: float) -> list[float]:
    step = max(1.0, _nice(span_s / 12.0))
    return [step * i for i in range(int(span_s / step) + 1)]
