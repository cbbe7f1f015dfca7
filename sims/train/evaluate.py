"""Prove a bundle on parts it has never seen: ``python -m sims.train.evaluate --parts 2000``.

Every part is rendered once under light of its own, compressed as the camera does, and taken through the agent's own
path: predictor, regions, findings, threshold policy. Needs no PyTorch. Seeds are far from those of training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from edge.core.policy import LabelRule, ThresholdOptions, ThresholdPolicy
from edge.models.bundle import read
from edge.models.loading import load
from edge.models.predictor import Predictor
from edge.vision.findings import to_inference
from sims.parts import KINDS, REJECT_SIZE_MM, Part, make_parts
from sims.scene import Light, Scene
from sims.train.card import record
from sims.train.score import BINS, Report, Tally

BUNDLE = Path(__file__).parents[1] / "bundles" / "surface"
FIRST_SEED = 5_000_000
JPEG_QUALITY = 92
RECALL_GOAL, OVERKILL_GOAL = 0.98, 0.02

_SCENE_PARTS = 200  # parts from one sheet of metal, with one sensor's noise


def unseen_light(rng: np.random.Generator) -> Light:
    """A lamp between set up and badly aged, exposure a quarter off either way, now and then a lens out of focus."""
    return Light(
        gain=float(rng.uniform(0.75, 1.25)),
        gradient=float(rng.uniform(0.0, 0.25)),
        angle_rad=float(rng.uniform(-np.pi, np.pi)),
        drift=float(rng.uniform(0.0, 1.0)),
        blur_px=float(rng.uniform(0.3, 0.6)) if rng.random() < 0.25 else 0.0,
    )


def frames(n: int, seed: int, defect_rate: float) -> list[tuple[int, Part]]:
    """Which scene seed draws which of ``n`` parts."""
    parts: list[tuple[int, Part]] = []
    for start in range(0, n, _SCENE_PARTS):
        scene_seed = seed + start // _SCENE_PARTS
        parts += [(scene_seed, p) for p in make_parts(min(_SCENE_PARTS, n - start), scene_seed, defect_rate)]
    return parts


def evaluate(predictor: Predictor, n: int, seed: int, defect_rate: float, *, progress: bool = False) -> Report:
    """Inspect ``n`` parts and compare with the truth. Any finding the bundle's thresholds let through fails a part."""
    policy = ThresholdPolicy(ThresholdOptions(other=LabelRule(min_score=0.0)))
    tally = Tally()
    rng = np.random.default_rng([0xE7A1, seed])
    scene: Scene | None = None
    drawn_by = -1
    jobs = frames(n, seed, defect_rate)
    for i, (scene_seed, part) in enumerate(track(jobs, console=Console(stderr=True), disable=not progress)):
        if scene is None or scene_seed != drawn_by:
            scene, drawn_by = Scene(seed=scene_seed, noise=float(rng.uniform(1.5, 3.5))), scene_seed
        x_mm = float(rng.uniform(60.0, 100.0))
        frame = scene.render([(part, x_mm)], unseen_light(rng), i, float(rng.uniform(0.0, 300.0)))
        jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        prediction = predictor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), scene.mm_per_px)
        verdict = policy.judge([to_inference(prediction)], "none")
        tally.add(part, scene.defect_map(part, x_mm), prediction, failed=verdict.decision == "fail")
    return tally.report()


def table_of(report: Report) -> Table:
    """Recall by kind and size, for people."""
    table = Table(title=f"found of all, by visible size ({report.parts} parts)")
    table.add_column("share of reject size", justify="right")
    for kind in KINDS:
        table.add_column(f"{kind} ({REJECT_SIZE_MM[kind]:g} mm)", justify="right")
    for low, high in BINS:
        rows = [r for r in report.rows if r.from_share == low]
        name = f"{low:g} to {high:g}" if high < 99 else f"{low:g} and more"
        table.add_row(name, *(f"{r.found} of {r.defects}" for r in rows), end_section=high == 1.0)
    return table


def main(
    model: Annotated[Path, typer.Option(help="Bundle to prove.")] = BUNDLE,
    parts: Annotated[int, typer.Option(help="How many parts.")] = 2000,
    seed: Annotated[int, typer.Option(help="First seed of the unseen parts.")] = FIRST_SEED,
    defect_rate: Annotated[float, typer.Option(help="Share of parts with defects.")] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Only a JSON document on stdout.")] = False,
    training: Annotated[
        str, typer.Option("--record", help="Write the figures into the bundle and its card; say how it was trained.")
    ] = "",
) -> None:
    """Recall, overkill and time per frame on unseen parts; status 1 if the goals are missed."""
    cv2.setNumThreads(1)
    report = evaluate(load(model), parts, seed, defect_rate, progress=True)
    if training:
        record(read(model), model, report, seed, training)
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        console = Console()
        console.print(table_of(report))
        console.print(
            f"parts with a reject: {report.reject_parts - report.escapes} of {report.reject_parts} failed "
            f"({report.part_recall:.2%})\n"
            f"reject defects: {report.reject_defects - report.missed_defects} of {report.reject_defects} found "
            f"({report.defect_recall:.2%}), kind right {report.kind_right:.2%}\n"
            f"good parts: {report.overkill} of {report.good_parts} failed ({report.overkill_rate:.2%}); "
            f"{report.false_findings} findings where there is no defect\n"
            f"a frame: p50 {report.ms_p50:.1f} ms, p99 {report.ms_p99:.1f} ms, network alone {report.infer_ms_p50:.1f} ms"
        )
    met = min(report.part_recall, report.defect_recall) >= RECALL_GOAL and report.overkill_rate <= OVERKILL_GOAL
    raise typer.Exit(0 if met else 1)


if __name__ == "__main__":
    typer.run(main)
