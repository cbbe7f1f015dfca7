"""The page put together: a template, tiles, tables, plots, gallery."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from edge.errors import StoreError
from edge.evaluate.document import cell, interval, lines, percent, said
from edge.evaluate.report.charts import confusion, line_plot
from edge.evaluate.report.gallery import Shelf, as_data_url
from edge.evaluate.results import Evaluation, Figure, Table
from edge.evaluate.truth import Dataset

TEMPLATE = Path(__file__).with_name("page.html")
_TILES = 8


def write_report(file: Path, html: str) -> None:
    """Raises StoreError REPORT_UNWRITABLE."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(html, encoding="utf-8")
    except OSError as error:
        raise StoreError("REPORT_UNWRITABLE", f"cannot write {file}", error.strerror or "") from error


def as_html(
    evaluation: Evaluation,
    dataset: Dataset,
    model: dict[str, Any],
    assumed: Sequence[str],
    shelves: Sequence[Shelf],
    made: str,
) -> str:
    """The whole page. ``model``: name, version, sha256, licence and file. ``made``: when, in words."""
    scored = evaluation.scored
    identity = f"{model['name']} {model['version']}, sha256 {str(model['sha256'])[:12]}…, {evaluation.task}"
    judged = f"{len(evaluation.records)} of {len(dataset.samples)} pictures judged"
    matrix = ""
    if scored.matrix is not None and len(scored.matrix.labels) > 1:
        about = "rows are the truth, columns the answer; shade is the share of the row"
        matrix = _section("Confusion", about, confusion(scored.matrix))
    plots = "".join(_section(plot.title, plot.about, line_plot(plot)) for plot in scored.plots)
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"{model['name']} on {dataset.root.name}"),
        name=escape(str(model["name"])),
        data=escape(dataset.root.name),
        identity=escape(identity),
        meta=escape(f"{judged}; {evaluation.ms_per_picture:.1f} ms a picture; {made}"),
        tiles=_tiles(evaluation),
        figures=_figures(evaluation),
        summary=_list([*dataset.said, f"licence of the model: {model.get('licence') or 'not stated'}"]),
        notes=_notes([*assumed, *evaluation.notes]),
        plots=f'<div class="two">{plots}</div>' if plots else "",
        matrix=matrix,
        tables="".join(_section(t.title, t.about, _table(t)) for t in scored.tables),
        gallery="".join(_shelf(shelf) for shelf in shelves) or _section("Worst cases", "there are none", ""),
        failed=_failed(evaluation),
    )


def _tiles(evaluation: Evaluation) -> str:
    tiles: list[tuple[str, str, str]] = []
    found = evaluation.inspection
    if found is not None:
        for name, share in (("escapes", found.escapes), ("overkill", found.overkill)):
            if share is not None:
                dress = "good" if share.count == 0 else "bad"
                tiles.append((f"{share.count} of {share.of}", f"{name}; {interval(share)}", dress))
        if found.auroc is not None:
            tiles.append((f"{found.auroc:.3f}", "AUROC of pictures", ""))
    ranked = [figure for figure in evaluation.scored.figures if figure.value is not None]
    tiles += [(said(figure), _words(figure), "") for figure in ranked]
    return "".join(
        f'<div class="tile {dress}"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for value, name, dress in tiles[:_TILES]
    )


def _words(figure: Figure) -> str:
    return figure.name if figure.share is None else f"{figure.name}; {figure.share.count} of {figure.share.of}"


def _figures(evaluation: Evaluation) -> str:
    about = {figure.name: figure.about for figure in evaluation.scored.figures}
    rows = "".join(
        f"<tr><td>{escape(name)}{_small(about.get(name, ''))}</td><td class=num>{escape(value)}</td>"
        f'<td class="quiet">{escape(more)}</td></tr>'
        for name, value, more in lines(evaluation)
    )
    return f"<table>{rows}</table>"


def _small(text: str) -> str:
    return f"<br><small>{escape(text)}</small>" if text else ""


def _table(table: Table) -> str:
    head = "".join(f"<th{'' if n == 0 else ' class=num'}>{escape(name)}</th>" for n, name in enumerate(table.columns))
    rows = "".join(
        "<tr>"
        + "".join(f"<td{'' if n == 0 else ' class=num'}>{_bar(value)}</td>" for n, value in enumerate(row))
        + "</tr>"
        for row in table.rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'


def _bar(value: str | float | None) -> str:
    """A share with a bar under it, anything else as it is."""
    if not isinstance(value, float):
        return escape(cell(value))
    return f'<span class="bar" style="--share:{100 * min(max(value, 0.0), 1.0):.1f}%">{escape(percent(value))}</span>'


def _section(title: str, about: str, content: str) -> str:
    return f'<section><h2>{escape(title)}</h2><p class="quiet">{escape(about)}</p>{content}</section>'


def _shelf(shelf: Shelf) -> str:
    cases = "".join(
        f'<figure><div class="pair"><img alt="truth" src="{as_data_url(case.truth)}">'
        f'<img alt="answer" src="{as_data_url(case.answer)}"></div>'
        f"<figcaption>{escape(case.title)}<br><small>{escape(case.text)}</small></figcaption></figure>"
        for case in shelf.cases
    )
    return _section(
        shelf.title, f"{shelf.about}; left the truth, right the answer", f'<div class="shelf">{cases}</div>'
    )


def _list(words: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(word)}</li>" for word in words) + "</ul>"


def _notes(notes: Sequence[str]) -> str:
    return _section("Assumed", "what the files do not say", _list(notes)) if notes else ""


def _failed(evaluation: Evaluation) -> str:
    if not evaluation.failed:
        return ""
    shown = [f"{one.source}: {one.code}: {one.what}" for one in evaluation.failed[:50]]
    more = len(evaluation.failed) - len(shown)
    return _section(
        "Not judged", f"{len(evaluation.failed)} pictures", _list([*shown, *([f"and {more} more"] if more else [])])
    )
