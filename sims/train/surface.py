"""Train the demo's model on rendered parts and write its bundle: ``python -m sims.train.surface --out DIR``.

Needs the extra ``train``. Seeded: the same seed, samples, steps and threads give the same weights on the same machine
(floating-point sums differ between machines), unless ``--minutes`` ends it first: then the learning rate follows the
clock, so that a slow machine gets a finished, if less practised, model. About half an hour on two cores by default.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional

from sims.parts import KINDS
from sims.train.data import IGNORE, Samples, make_samples
from sims.train.export import write_bundle
from sims.train.net import MEAN, STD, SurfaceNet

BATCH = 32
PEAK_RATE = 4e-3
TARGET_WEIGHT = 3.0
"""Loss of a defect's cell against one of background, which is two hundred times as frequent."""

_VALIDATION_SEED = 900_000
_VALIDATION_SAMPLES = 384
_WARM_UP = 0.08  # share of the steps


@dataclass(frozen=True, slots=True)
class Plan:
    """One training run."""

    seed: int = 1
    samples: int = 8000
    steps: int = 2400
    minutes: float = 40.0
    threads: int = 2


def batch_of(samples: Samples, rows: np.ndarray, rng: np.random.Generator | None) -> tuple[Tensor, Tensor]:
    """Normalised pictures float32 (n, 1, h, w) and cells int64 (n, h/2, w/2); varied if ``rng`` is given.

    Varied: mirrored both ways, exposure, gamma and noise beyond what the scene draws.
    """
    grey = torch.from_numpy(samples.grey[rows]).float()[:, None] / 255.0
    cells = torch.from_numpy(samples.cells[rows]).long()
    if rng is not None:
        n = len(rows)
        if rng.random() < 0.5:
            grey, cells = grey.flip(-1), cells.flip(-1)
        if rng.random() < 0.5:
            grey, cells = grey.flip(-2), cells.flip(-2)
        gain = torch.from_numpy(rng.uniform(0.8, 1.2, (n, 1, 1, 1)).astype(np.float32))
        gamma = torch.from_numpy(rng.uniform(0.85, 1.2, (n, 1, 1, 1)).astype(np.float32))
        spread = torch.from_numpy(rng.uniform(0.0, 0.012, (n, 1, 1, 1)).astype(np.float32))
        noise = torch.from_numpy(rng.standard_normal(grey.shape, np.float32))
        grey = ((grey * gain).clamp(0.0, 1.0) ** gamma + spread * noise).clamp(0.0, 1.0)
    return ((grey - MEAN) / STD).contiguous(memory_format=torch.channels_last), cells


def loss_of(logits: Tensor, cells: Tensor) -> Tensor:
    """Cross entropy over all cells that count, targets weighing more, plus one minus the overlap of 'some defect'.

    The overlap (dice) keeps small defects from drowning in the background.
    """
    weight = torch.full((logits.shape[1],), TARGET_WEIGHT)
    weight[0] = 1.0
    entropy = functional.cross_entropy(logits, cells, weight, ignore_index=IGNORE)
    counts = (cells != IGNORE).float()
    truth = ((cells > 0) & (cells != IGNORE)).float()
    found = (1.0 - torch.softmax(logits, 1)[:, 0]) * counts
    both, either = (found * truth).sum((1, 2)), found.sum((1, 2)) + truth.sum((1, 2))
    return entropy + 0.3 * (1.0 - (2.0 * both + 5.0) / (either + 5.0)).mean()


def rate_at(step: int, steps: int) -> float:
    """Share of the peak rate: a short rise, then half a cosine down."""
    rise = max(1.0, _WARM_UP * steps)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise)))


def validate(net: SurfaceNet, samples: Samples) -> tuple[float, float, float]:
    """Loss, share of target cells that get their kind at 0.5, share of background cells that get any."""
    net.eval()
    losses, right, targets, false, background = [], 0, 0, 0, 0
    with torch.no_grad():
        for start in range(0, len(samples.grey), BATCH):
            grey, cells = batch_of(samples, np.arange(start, min(start + BATCH, len(samples.grey))), None)
            logits = net(grey)
            losses.append(float(loss_of(logits, cells)))
            share = torch.softmax(logits, 1)
            target = (cells > 0) & (cells != IGNORE)
            own = share.gather(1, torch.where(target, cells, 0)[:, None])[:, 0]
            right += int((own[target] > 0.5).sum())
            targets += int(target.sum())
            false += int((share[:, 0][cells == 0] < 0.5).sum())
            background += int((cells == 0).sum())
    net.train()
    return float(np.mean(losses)), right / max(1, targets), false / max(1, background)


def train(plan: Plan, console: Console) -> SurfaceNet:
    """Train from nothing. Stops after ``steps``, or early after ``minutes``, its rate following whichever comes first."""
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    started = time.monotonic()
    console.print(f"rendering {plan.samples} samples")
    samples = make_samples(plan.samples, 1000 * plan.seed, processes=plan.threads)
    fixed = make_samples(_VALIDATION_SAMPLES, _VALIDATION_SEED, processes=plan.threads)
    console.print(f"rendered in {time.monotonic() - started:.0f} s; training")
    net = SurfaceNet(len(KINDS)).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=1e-3)
    order = np.empty(0, np.int64)
    begun, step, progress_share = time.monotonic(), 0, 0.0
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=1.0)
        while progress_share < 1.0:
            for group in optimiser.param_groups:
                group["lr"] = PEAK_RATE * rate_at(round(progress_share * plan.steps), plan.steps)
            if len(order) < BATCH:
                order = rng.permutation(len(samples.grey))
            rows, order = order[:BATCH], order[BATCH:]
            grey, cells = batch_of(samples, rows, rng)
            loss = loss_of(net(grey), cells)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            step += 1
            spent = (time.monotonic() - begun) / 60.0
            progress_share = max(step / plan.steps, spent / plan.minutes)
            bar.update(task, completed=progress_share)
            if step % 200 == 0 or progress_share >= 1.0:
                checked, right, false = validate(net, fixed)
                console.print(
                    f"step {step}, {spent:.1f} min: loss {float(loss):.4f}, validation {checked:.4f}, "
                    f"target cells {right:.3f}, false cells {false:.6f}"
                )
    return net.eval()


def main(
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    minutes: Annotated[float, typer.Option(help="Training ends after so many minutes at the latest.")] = 40.0,
    steps: Annotated[int, typer.Option(help="Training ends after so many steps.")] = 2400,
    samples: Annotated[int, typer.Option(help="Rendered samples to learn from.")] = 8000,
    seed: Annotated[int, typer.Option(help="Of samples, weights and order.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads, and processes for rendering.")] = 2,
) -> None:
    """Train the surface model on rendered parts, export it to ONNX and write its bundle."""
    console = Console(stderr=True)
    net = train(Plan(seed, samples, steps, minutes, threads), console)
    write_bundle(net, out)
    console.print(f"wrote {out}; now: python -m sims.train.evaluate --model {out}")


if __name__ == "__main__":
    typer.run(main)
