"""The model card, written from measured figures, so that it cannot say anything else than what was measured."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge.models.bundle import MODEL_FILE, Bundle, Manifest, write
from sims.parts import KINDS, REJECT_SIZE_MM
from sims.train.score import BINS, Report

CARD = "MODEL_CARD.md"

_HEAD = """# {name} {version}

Finds scratches, pits, stains and edge chips on brushed metal plates, as regions with a score and an area. It is the
demo's own model: it learnt from rendered parts only (`sims/scene.py`) and **knows nothing of real metal**. Use it to see
the line work, not to inspect a product.

| | |
|---|---|
| Task | segmentation, {labels} |
| Network | small U-Net, {size_kb:.0f} kB of ONNX, float32 |
| Input | grey {width} × {height}, of a frame of 640 × 480 at 0.25 mm/px |
| Output | one map a kind and one of background, 160 × 120, probabilities |
| Thresholds | score {score:g}, area {area:g} mm² |
| Licence | Apache-2.0; weights trained from nothing, no foreign data |
| Training | `python -m sims.train.surface` ({training}) |
| Proof | `python -m sims.train.evaluate --parts {parts} --seed {seed}` |

## What counts

A defect has a size (length of a scratch, diameter of a pit or stain, width of a chip) and a contrast. Its *visible size*
is the size weighed by the contrast (`sims/parts.py`): nothing at the contrast nobody can see, the whole size where it is
clear. From the kind's *reject size* on it must be found; anything smaller is borderline, and neither finding nor missing
it counts. A good part has no defect at all; borderline parts count in neither figure. Reject sizes:
{limits}.

## Figures

{parts} parts that training never saw: other seeds, other sheets of metal, other sensor noise; light of its own for each
part (exposure 0.75 to 1.25, gradient up to 0.25 from any side, lamp new to worn out, one in four slightly out of focus);
each frame compressed as JPEG (quality 92), then the agent's own path: predictor, regions, findings, threshold policy.

| | |
|---|---|
| Parts with a reject defect that failed | {rejected} of {reject_parts} ({part_recall:.2%}) |
| Reject defects found | {found} of {reject_defects} ({defect_recall:.2%}) |
| of these with the right kind | {kind_right:.2%} |
| Good parts that failed (overkill) | {overkill} of {good_parts} ({overkill_rate:.2%}) |
| Borderline parts that failed (counted neither way) | {borderline_failed} of {borderline_parts} |
| Findings where there is no defect, on all parts | {false_findings} |
| Time a frame, one thread (shared 2-core x86) | p50 {ms_p50:.1f} ms, p99 {ms_p99:.1f} ms; network alone {infer_ms_p50:.1f} ms |

Found of all, by visible size as a share of the reject size. Below 1 is borderline and shown for honesty only.

"""

_TAIL = """
## Limits

- Rendered metal only: no oil film, no rust, no holes, no lettering, no second material.
- One plate of about 80 × 60 mm, within 3° of straight, on a dark belt. A part cut by the frame's border was in the
  training pictures, but a defect cut by it may be missed.
- It does not measure against the reject size: most of what is clearly visible but smaller is found too and, when any
  finding fails a part, rejected with it. Ask for a larger area in the policy where that matters.
- The kinds' probabilities sum to one: at a threshold of 0.5 instead of 0.3 small pits begin to be missed. Decide on any
  finding rather than on its kind.
- Learnt under exposure from 0.65 to 1.3 of set-up; a frame darker or brighter than that is outside what it knows.
"""


def card_of(manifest: Manifest, model_bytes: int, report: Report, seed: int, training: str) -> str:
    """The whole card as Markdown."""
    head = _HEAD.format(
        name=manifest.model.name,
        version=manifest.model.version,
        labels=", ".join(manifest.model.labels),
        size_kb=model_bytes / 1000,
        width=manifest.input.width_px,
        height=manifest.input.height_px,
        score=manifest.thresholds.score,
        area=manifest.thresholds.min_area_mm2,
        limits=", ".join(f"{kind} {REJECT_SIZE_MM[kind]:g} mm" for kind in KINDS),
        rejected=report.reject_parts - report.escapes,
        found=report.reject_defects - report.missed_defects,
        seed=seed,
        training=training,
        **msgspec.to_builtins(report),
    )
    return head + _recall_table(report) + _TAIL


def _recall_table(report: Report) -> str:
    lines = ["| share | " + " | ".join(KINDS) + " |", "|---" * (1 + len(KINDS)) + "|"]
    for low, high in BINS:
        rows = {r.kind: r for r in report.rows if r.from_share == low}
        name = f"{low:g} to {high:g}" if high < 99 else f"{low:g} and more"
        cells = (f"{rows[k].found} of {rows[k].defects}" for k in KINDS)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    must = [r for r in report.rows if r.from_share >= 1.0]
    right = (f"{sum(r.right_kind for r in must if r.kind == k)}" for k in KINDS)
    lines.append("| right kind, from 1 on | " + " | ".join(right) + " |")
    return "\n".join(lines) + "\n"


def record(found: Bundle, folder: Path, report: Report, seed: int, training: str) -> None:
    """Write the figures into the bundle in ``folder``: ``[metrics]`` of its manifest, and its card."""
    metrics = {
        "parts": float(report.parts),
        "part_recall": round(report.part_recall, 4),
        "defect_recall": round(report.defect_recall, 4),
        "overkill": round(report.overkill_rate, 4),
    }
    manifest = msgspec.structs.replace(found.manifest, metrics=metrics)
    extra = {name: (folder / name).read_bytes() for name in manifest.files if name not in {MODEL_FILE, CARD}}
    extra[CARD] = card_of(manifest, len(found.onnx), report, seed, training).encode()
    write(folder, manifest, folder / MODEL_FILE, extra)
