"""Plots as inline SVG: no library, no script, sharp at any size. Pure: values in, text out.

Colours are CSS classes of the page's style sheet, so that both its light and its dark dress fit.
"""

from __future__ import annotations

from html import escape

import numpy as np

from edge.evaluate.results import Matrix, Plot

WIDTH, HEIGHT = 520, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 14, 44
_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_MAX_CLASSES = 40
_CELL = 34


def line_plot(plot: Plot) -> str:
    """Lines with axes, upright marks and a legend below."""
    low, high = plot.x_range

    def x(value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, (value - low) / (high - low)))

    def y(value: float) -> float:
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1.0 - min(1.0, max(0.0, value)))

    out = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(plot.title)}">']
    for share in _SHARES:
        at = low + (high - low) * share
        anchor = "end" if share == 1.0 else "middle"  # the last number would leave the picture
        out += [
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(share):.1f}" y2="{y(share):.1f}"/>',
            f'<text class="tick" x="{_LEFT - 6}" y="{y(share) + 4:.1f}" text-anchor="end">{share:g}</text>',
            f'<text class="tick" x="{x(at):.1f}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="{anchor}">{at:.3g}</text>',
        ]
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    out.append(f'<text class="tick" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(plot.x_label)}</text>')
    out.append(
        f'<text class="tick" x="12" y="{HEIGHT / 2}" text-anchor="middle" '
        f'transform="rotate(-90 12 {HEIGHT / 2})">{escape(plot.y_label)}</text>'
    )
    for row, (value, word) in enumerate(plot.marks):
        left = x(value)
        side, gap = ("end", -5) if left > WIDTH * 0.6 else ("start", 5)
        out.append(f'<line class="mark" x1="{left:.1f}" x2="{left:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        out.append(
            f'<text class="word" x="{left + gap:.1f}" y="{_TOP + 14 + 15 * row}" text-anchor="{side}">'
            f"{escape(word)} {value:.3g}</text>"
        )
    for number, (name, xs, ys) in enumerate(plot.series):
        points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(xs, ys, strict=True))
        out.append(f'<polyline class="line c{number % 6}" points="{points}"><title>{escape(name)}</title></polyline>')
    out.append("</svg>")
    keys = "".join(
        f'<span><i class="key c{number % 6}"></i>{escape(name)}</span>'
        for number, (name, _, _) in enumerate(plot.series)
    )
    return "".join(out) + f'<div class="keys">{keys}</div>'


def confusion(matrix: Matrix) -> str:
    """A table of counts, shaded by the share of the row; of very many classes those that are confused most."""
    counts, labels = matrix.counts, matrix.labels
    more = ""
    if len(labels) > _MAX_CLASSES:
        wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diagonal(counts)
        kept = np.sort(np.argsort(-wrong, kind="stable")[:_MAX_CLASSES])
        more = f'<p class="quiet">the {_MAX_CLASSES} of {len(labels)} classes that are confused most</p>'
        counts, labels = counts[np.ix_(kept, kept)], tuple(labels[i] for i in kept)
    n, gutter = len(labels), max(9, min(20, max(map(len, labels)))) * 7
    size = gutter + n * _CELL
    box = f"0 0 {size + 10} {size + 10}"
    label = 'role="img" aria-label="Confusion matrix"'
    out = [f'<svg class="matrix" style="max-width:{size + 40}px" viewBox="{box}" {label}>']
    totals = np.maximum(counts.sum(axis=1), 1)
    for row, name in enumerate(labels):
        at = gutter + row * _CELL
        word = escape(name if len(name) <= 20 else name[:19] + "…")  # noqa: PLR2004  (what the gutter holds)
        out.append(f'<text class="tick" x="{gutter - 6}" y="{at + 21}" text-anchor="end">{word}</text>')
        middle = at + _CELL / 2 + 4
        out.append(
            f'<text class="tick" x="{middle}" y="{gutter - 6}" transform="rotate(-90 {middle} {gutter - 6})">{word}</text>'
        )
        for column in range(n):
            count = int(counts[row, column])
            share = count / int(totals[row])
            kind = "right" if row == column else "wrong"
            shade = f' fill-opacity="{max(share, 0.05):.2f}"' if count else ' fill-opacity="0"'
            left = gutter + column * _CELL
            title = f"<title>{count} of {word} taken for {escape(labels[column])}</title>"
            out.append(
                f'<rect class="{kind}" x="{left}" y="{at}" width="{_CELL - 2}" height="{_CELL - 2}" rx="3"{shade}>{title}</rect>'
            )
            if count:
                strong = " strong" if share > 0.6 else ""  # noqa: PLR2004  (light ink on a full shade)
                out.append(
                    f'<text class="count{strong}" x="{left + _CELL / 2 - 1}" y="{at + 20}" text-anchor="middle">{_brief(count)}</text>'
                )
    out.append("</svg>")
    return more + "".join(out)


def _brief(count: int) -> str:
    """Pixels run into millions: at most four characters."""
    for unit, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= unit:
            return f"{count / unit:.2g}{letter}" if count < 10 * unit else f"{count // unit}{letter}"
    return str(count)
