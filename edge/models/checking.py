"""Everything that is asked of a model before it is used, one step after the other, with what each found and took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, field

from edge.errors import ModelError
from edge.models import guard
from edge.models.admit import admit
from edge.models.bundle import BareFile, Bundle, read_any
from edge.models.cascade import named, place_of_stage
from edge.models.guard import GuardLimits, Signature
from edge.models.inspect.licence import licence_of, warnings_of
from edge.models.loading import load, predictor_of
from edge.models.series.loading import predictor_of as series_predictor_of
from edge.models.series.manifest import read as read_series
from edge.models.series.manifest import takes_series
from edge.models.stages import Stage, is_codes
from edge.models.tuning.plan import Wish


class Step(Struct):
    """One question. ``found`` is a sentence."""

    step: str
    found: str = ""
    ms: float = 0.0


class Report(Struct):
    """What was asked of a model that passed."""

    model: str
    sha256: str = ""
    bytes: int = 0
    task: str = ""
    external: dict[str, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ms: float = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a step; it is listed once it is passed."""
        one, started_ns = Step(name), time.perf_counter_ns()
        yield one
        one.ms = (time.perf_counter_ns() - started_ns) / 1e6
        self.ms += one.ms
        self.steps.append(one)


def check(path: Path, *, limits: GuardLimits | None = None, cache: Path | None = None) -> Report:
    """Ask everything anew, whatever is remembered of an earlier trial. Raises ModelError for the first 'no'."""
    report = Report(str(path))
    if is_codes(str(path)) and not path.exists():
        return _codes(path, report)
    if takes_series(path):
        return _series(path, report, limits, cache)
    with report.step("files") as step:
        found = read_any(path)
        _measure(report, found.onnx, found.sha256, found.external)
        listed = f", files as [files] lists them: {len(found.manifest.files)}" if isinstance(found, Bundle) else ""
        step.found = f"{report.bytes} bytes{_beside(report)}{listed}"
    spec = found.manifest.input if isinstance(found, Bundle) else None
    size_px = (spec.width_px, spec.height_px) if spec else None
    signature = _trial(report, found, size_px, limits, cache)
    if isinstance(found, BareFile):
        _bare(report, found, limits, cache)
        return report
    with report.step("contract") as step:
        admitted = admit(found, limits=limits, cache=cache)
        step.found = f"[input] and [output] fit {_described(signature)}"
    for stage in found.manifest.stage:
        _stage(report, found, stage, limits, cache)
    n = len(found.manifest.golden)
    with report.step("golden" if n else "warm-up") as step:
        predictor = predictor_of(admitted, cache=cache, limits=limits)
        predictor.warm_up()
        step.found = (
            f"golden pictures give what they gave: {n}"
            if n
            else "answers a grey picture; the bundle has no golden ones"
        )
    for row in found.manifest.variant:
        with report.step(f"variant {row.name}") as step:
            planned = admit(found, limits=limits, cache=cache, wish=Wish(row.name))
            predictor_of(planned, cache=cache, limits=limits).warm_up()
            step.found = f"{row.how}; agreement {row.agreement.value:g} on pictures: {row.agreement.pictures}"
    report.task = found.manifest.model.task
    _licence(report, found.manifest.model.licence or licence_of(signature.metadata))
    return report


def _codes(path: Path, report: Report) -> Report:
    """The built-in reader of codes: there is no file, but a library that may be missing."""
    with report.step("library") as step:
        reader = load(path)
        reader.warm_up()
        step.found = f"zxing-cpp {reader.ref.version}, {len(reader.labels)} formats"
    report.task, report.sha256 = reader.manifest.model.task, reader.ref.sha256
    return report


def _stage(report: Report, found: Bundle, stage: Stage, limits: GuardLimits | None, cache: Path | None) -> None:
    """All of it again for a cascade's further model. Raises ModelError that names the stage."""
    with named(stage):
        place = place_of_stage(found, stage)
        inner = check(Path(place), limits=limits, cache=cache)
    report.steps += [Step(f"{stage.name}: {one.step}", one.found, one.ms) for one in inner.steps]
    report.warnings += [f"stage {stage.name!r}: {warning}" for warning in inner.warnings]
    report.ms += inner.ms


def _trial(
    report: Report,
    found: Bundle | BareFile,
    size_px: tuple[int, int] | None,
    limits: GuardLimits | None,
    cache: Path | None,
) -> Signature:
    with report.step("guard") as step:
        signature = guard.examine(
            found.onnx,
            found.sha256,
            external=found.external,
            size_px=size_px,
            limits=limits,
            cache=cache,
            fresh=True,
        )
    report.steps.remove(step)
    _steps_of(report, signature)
    return signature


def _steps_of(report: Report, signature: Signature) -> None:
    """The guard's steps from what it says it took."""
    took = signature.took_ms
    report.steps.append(Step("graph", "operators, nodes, loops, sizes and weights allowed", took.get("structure", 0.0)))
    load_ms, probe_ms = took.get("load", 0.0), took.get("probe", 0.0)
    start_ms = max(0.0, took.get("trial", 0.0) - load_ms - probe_ms)
    report.steps.append(Step("trial start", "a child process under limits", start_ms))
    report.steps.append(Step("load", _described(signature), load_ms))
    if signature.probes:
        alive = sum(bool(one.moves) for one in signature.outputs)
        said = f"{signature.probes} probes: finite, {alive} of {len(signature.outputs)} outputs change with the input"
    else:
        said = "not run: no input can be made for it"
    report.steps.append(Step("probes", said, probe_ms))
    report.warnings += signature.warnings


def _bare(report: Report, found: BareFile, limits: GuardLimits | None, cache: Path | None) -> None:
    """What a bare file means is asked as well, but not knowing is no 'no'."""
    with report.step("meaning") as step:
        try:
            admitted = admit(found, limits=limits, cache=cache)
        except ModelError as error:
            if error.code not in {"MODEL_HEAD_UNKNOWN", "MODEL_INPUT_UNFIT"}:
                raise
            step.found = f"not told: {error.what}"
            _licence(report, "")
            return
        predictor_of(admitted).warm_up()
        report.task = admitted.bundle.manifest.model.task
        step.found = f"{report.task}, by what `jidoka model inspect` proposes"
    _licence(report, admitted.bundle.manifest.model.licence or licence_of(admitted.signature.metadata))


def _series(path: Path, report: Report, limits: GuardLimits | None, cache: Path | None) -> Report:
    with report.step("files") as step:
        found = read_series(path)
        _measure(report, found.onnx, found.sha256, found.external)
        step.found = f"{report.bytes} bytes{_beside(report)}"
    with report.step("guard") as step:
        signature = guard.examine(
            found.onnx, found.sha256, external=found.external, limits=limits, cache=cache, fresh=True
        )
    report.steps.remove(step)
    _steps_of(report, signature)
    with report.step("contract") as step:
        series_predictor_of(found, limits=limits, cache=cache)
        step.found = f"[input] and [output] fit {_described(signature)}"
    for row in found.manifest.variant:
        with report.step(f"variant {row.name}") as step:
            series_predictor_of(found, limits=limits, cache=cache, wish=Wish(row.name))
            step.found = f"{row.how}; agreement {row.agreement.value:g} on windows: {row.agreement.pictures}"
    report.task = found.manifest.model.task
    _licence(report, found.manifest.model.licence or licence_of(signature.metadata))
    return report


def _measure(report: Report, onnx: bytes, sha256: str, external: dict[str, bytes]) -> None:
    report.sha256, report.bytes = sha256, len(onnx)
    report.external = {name: len(data) for name, data in external.items()}


def _beside(report: Report) -> str:
    return f" and {sum(report.external.values())} beside it in {', '.join(report.external)}" if report.external else ""


def _described(signature: Signature) -> str:
    def words(tensors: tuple[guard.Tensor, ...]) -> str:
        shown = [f"{t.name[:40]} [{', '.join('?' if d is None else str(d) for d in t.shape)}]" for t in tensors[:3]]
        return ", ".join([*shown, *([f"{len(tensors) - 3} more"] if len(tensors) > len(shown) else [])])

    return f"{words(signature.inputs)} -> {words(signature.outputs)}"


def _licence(report: Report, licence: str) -> None:
    report.warnings += warnings_of(licence)
