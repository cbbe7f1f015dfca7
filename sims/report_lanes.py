"""The timeline picture of a run as inline SVG: lanes coloured by state, faults as bands, curves below. Pure.

Colours are CSS classes; :data:`STYLE` has them for light and dark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from sims.chronicle import STATE_WORDS, STATES, Chronicle, Curve, Lane, Mark, State

WIDTH = 1040
LEFT, RIGHT = 150, 14
LABEL_H, PLOT_H, AXIS_H = 17, 74, 22

STYLE = """
:root{--s-ok:#58b894;--s-behind:#5b8def;--s-apart:#f0b429;--s-blind:#9b6bdf;--s-standing:#b9c1cd;--s-off:#c8322b;
--c0:#2f6fde;--c1:#12805c;--c2:#b26a00;--mark:#c8322b12;--markline:#c8322b55;--marktext:#9a2a24}
@media (prefers-color-scheme:dark){:root{--s-ok:#2f8f6c;--s-behind:#4d7fe0;--s-apart:#d99e1b;--s-blind:#8c5bd6;--s-standing:#596577;
--s-off:#e0564e;--c0:#7aa7ff;--c1:#3ecf9b;--c2:#f0b35b;--mark:#ff7b721a;--markline:#ff7b7266;--marktext:#ff9d96}}
svg.lanes{width:100%;height:auto;display:block}svg.lanes text{font:11px system-ui,sans-serif;fill:var(--quiet)}
svg.lanes text.lane{fill:var(--ink);font-size:12px}svg.lanes text.mark{fill:var(--marktext);font-size:11.5px}
svg.lanes .grid{stroke:var(--edge)}svg.lanes .mark-band{fill:var(--mark)}svg.lanes .mark-line{stroke:var(--markline)}
svg.lanes .back{fill:var(--edge);opacity:.45}
.st-ok{fill:var(--s-ok)}.st-behind{fill:var(--s-behind)}.st-apart{fill:var(--s-apart)}.st-blind{fill:var(--s-blind)}
.st-standing{fill:var(--s-standing)}.st-off{fill:var(--s-off)}
.cv{fill:none;stroke-width:1.8;stroke-linejoin:round}.cv0{stroke:var(--c0)}.cv1{stroke:var(--c1)}.cv2{stroke:var(--c2)}
.fill0{fill:var(--c0);opacity:.14}.t0{fill:var(--c0)!important}.t1{fill:var(--c1)!important}.t2{fill:var(--c2)!important}
svg.lanes .pass{fill:var(--c0)}svg.lanes .fail{fill:var(--s-apart)}svg.lanes .unsure{fill:var(--s-blind)}svg.lanes .none{fill:var(--s-standing)}
svg.lanes .escape,svg.lanes .wrong{fill:var(--s-off)}svg.lanes .overkill{fill:#d946a6}
"""

DOT_WORDS = {
    "pass": "pass",
    "fail": "fail",
    "unsure": "unsure",
    "none": "no verdict",
    "overkill": "good, rejected",
    "escape": "bad, let through",
    "wrong": "wrong part",
}
Place = Callable[[float], float]


def lanes(chronicle: Chronicle, *, curves: bool = True) -> str:
    """The whole picture, without its ``curves`` where they are shown elsewhere; empty when nothing was recorded."""
    if not chronicle.lanes:
        return ""
    span_s = max(chronicle.seconds, 1.0)

    def x(t_s: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, t_s / span_s))

    rows = _label_rows(chronicle.marks, x)
    top = 6 + LABEL_H * (1 + max(rows, default=-1))
    lane_h = 20 if len(chronicle.lanes) <= 14 else 15
    plots = _plots(chronicle.curves) if curves else {}
    lanes_end = top + lane_h * len(chronicle.lanes)
    axis_y = lanes_end + 14
    bottom = axis_y + AXIS_H + (PLOT_H + 24) * len(plots)
    out = [f'<svg class="lanes" viewBox="0 0 {WIDTH} {bottom + 24}" role="img" aria-label="What happened, over time">']
    out += _bands(chronicle.marks, rows, x, bottom)
    for number, lane in enumerate(chronicle.lanes):
        out.append(_lane(lane, top + number * lane_h, lane_h, x))
    out += [
        f'<text x="{min(x(t_s), WIDTH - 20):.1f}" y="{axis_y}" text-anchor="middle">{clock(t_s)}</text>'
        for t_s in _ticks(span_s)
    ]
    for number, (name, drawn) in enumerate(plots.items()):
        out.append(_plot(name, drawn, axis_y + AXIS_H + number * (PLOT_H + 24), x))
    out.append(_keys(chronicle, bottom + 14))
    return "".join([*out, "</svg>"])


def clock(t_s: float) -> str:
    """``40 s``, ``12 min``, ``1.5 h``: what a person would say."""
    if (t_s < 180 and t_s % 60) or t_s == 0:
        return f"{t_s:.0f} s"
    return f"{t_s / 60:.3g} min" if t_s < 7200 else f"{t_s / 3600:.3g} h"


def _bands(marks: Sequence[Mark], rows: Sequence[int], x: Place, bottom: float) -> list[str]:
    out = []
    for mark, row in zip(marks, rows, strict=True):
        left, wide = x(mark.began_s), max(2.0, x(mark.ended_s) - x(mark.began_s))
        y = 4 + row * LABEL_H
        said = f"{mark.text}, {clock(mark.began_s)} to {clock(mark.ended_s)}"
        out.append(
            f'<rect class="mark-band" x="{left:.1f}" y="{y}" width="{wide:.1f}" height="{bottom - y:.0f}"><title>{escape(said)}</title></rect>'
            f'<line class="mark-line" x1="{left:.1f}" x2="{left:.1f}" y1="{y}" y2="{bottom:.0f}"/>'
        )
        room = WIDTH - RIGHT - left
        if room < _wide(mark.text):
            at, anchor = left - 4, "end"
        else:
            at, anchor = left + 4, "start"
        out.append(f'<text class="mark" x="{at:.1f}" y="{y + 12}" text-anchor="{anchor}">{escape(mark.text)}</text>')
    return out


def _wide(text: str) -> float:
    return 8 + 6.0 * len(text)


def _label_rows(marks: Sequence[Mark], x: Place) -> list[int]:
    """Which row each label goes to, so that none is written over another."""
    taken: list[list[tuple[float, float]]] = []
    rows = []
    for mark in marks:
        left = x(mark.began_s)
        wide = _wide(mark.text)
        want = (left - wide, left) if WIDTH - RIGHT - left < wide else (left, left + wide)
        free = (i for i, row in enumerate(taken) if all(want[1] <= a or want[0] >= b for a, b in row))
        row = next(free, len(taken))
        if row == len(taken):
            taken.append([])
        taken[row].append(want)
        rows.append(row)
    return rows


def _lane(lane: Lane, y: float, lane_h: int, x: Place) -> str:
    high = lane_h - 4
    out = [f'<text class="lane" x="{LEFT - 8}" y="{y + high - 3}" text-anchor="end">{escape(lane.name)}</text>']
    left, right = LEFT, WIDTH - RIGHT
    out.append(f'<rect class="back" x="{left}" y="{y}" width="{right - left}" height="{high}" rx="2"/>')
    for span in lane.spans:
        above = 0.0
        began, ended = x(span.began_s), x(span.ended_s)
        for state, share in span.shares:
            tall = high * share
            said = f"{lane.name}: {share:.0%} {STATE_WORDS[state]}, {clock(span.began_s)} to {clock(span.ended_s)}"
            out.append(
                f'<rect class="st-{state}" x="{began:.1f}" y="{y + above:.1f}" width="{max(0.6, ended - began):.1f}" height="{tall:.1f}">'
                f"<title>{escape(said)}</title></rect>"
            )
            above += tall
    for dot in lane.dots:
        title = f"<title>{escape(dot.text)}</title>" if dot.text else ""
        out.append(
            f'<rect class="{dot.kind}" x="{x(dot.t_s) - 1.2:.1f}" y="{y + 1}" width="2.4" height="{high - 2}">{title}</rect>'
        )
    return "".join(out)


def _plots(found: Sequence[Curve]) -> dict[str, list[Curve]]:
    plots: dict[str, list[Curve]] = {}
    for curve in found:
        plots.setdefault(curve.plot, []).append(curve)
    return plots


def _plot(name: str, curves: Sequence[Curve], top: float, x: Place) -> str:
    most = nice(max((value for curve in curves for _, value in curve.points), default=1.0) or 1.0)

    def y(value: float) -> float:
        return top + PLOT_H * (1.0 - min(1.0, max(0.0, value / most)))

    out = [f'<text class="lane" x="{LEFT - 8}" y="{top + 10}" text-anchor="end">{escape(name)}</text>']
    for share in (0.0, 0.5, 1.0):
        line_y = y(most * share)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{line_y:.1f}" y2="{line_y:.1f}"/>')
        if share:
            lower = line_y + (18 if share == 1.0 else 4)
            out.append(f'<text x="{LEFT - 8}" y="{lower + 4:.1f}" text-anchor="end">{_figure(most * share)}</text>')
    at = LEFT + 6.0
    for number, curve in enumerate(curves):
        points = " ".join(f"{x(t_s):.1f},{y(value):.1f}" for t_s, value in curve.points)
        if number == 0 and curve.points:
            first, last = x(curve.points[0][0]), x(curve.points[-1][0])
            out.append(f'<polygon class="fill0" points="{first:.1f},{y(0):.1f} {points} {last:.1f},{y(0):.1f}"/>')
        out.append(f'<polyline class="cv cv{number % 3}" points="{points}"/>')
        if len(curves) > 1:
            out.append(f'<text class="t{number % 3}" x="{at:.0f}" y="{top - 4}">{escape(curve.name)}</text>')
            at += _wide(curve.name) + 12
    return "".join(out)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def _keys(chronicle: Chronicle, y: float) -> str:
    """Only the states that were seen."""
    seen: set[State] = {state for lane in chronicle.lanes for span in lane.spans for state, _ in span.shares}
    at, out = float(LEFT), []
    for state in STATES:
        if state in seen:
            words = STATE_WORDS[state]
            out.append(f'<rect class="st-{state}" x="{at:.0f}" y="{y - 9}" width="10" height="10" rx="2"/>')
            out.append(f'<text x="{at + 15:.0f}" y="{y}">{words}</text>')
            at += _wide(words) + 22
    kinds = {dot.kind for lane in chronicle.lanes for dot in lane.dots}
    for kind, words in DOT_WORDS.items():
        if kind in kinds:
            out.append(f'<rect class="{kind}" x="{at:.0f}" y="{y - 9}" width="4" height="10"/>')
            out.append(f'<text x="{at + 9:.0f}" y="{y}">{words}</text>')
            at += _wide(words) + 14
    return "".join(out)


def nice(value: float) -> float:
    """The next 1, 1.5, 2, 2.5, 3, 4, 5, 6 or 8 times a power of ten."""
    power = 1.0
    while power * 10.0 <= value:
        power *= 10.0
    while power > value:
        power /= 10.0
    return next(
        step * power for step in (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0) if step * power >= value * 0.999
    )


def _ticks(span_s: float) -> list[float]:
    for step in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 86_400):
        if span_s / step <= 12:
            return [float(step * i) for i in range(int(span_s / step) + 1)]
    return [0.0, span_s]
