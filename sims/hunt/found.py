"""What a hunt found, as a scenario file that a person can read and run again."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from sims.hunt.play import INVARIANTS, Played, Spec
from sims.hunt.shrink import text_of
from sims.scenario import BUILTIN, Scenario, bundle_path


class Found(Struct, frozen=True):
    """One broken invariant and the smallest scenario so far that breaks it. ``number`` is the run that broke first."""

    invariant: str
    what: str
    number: int
    faults_first: int
    faults: int
    trace_hash: str
    toml: str
    file: str | None = None
    shrink_runs: int = 0


def found_of(spec: Spec, played: Played, name: str, number: int, faults_first: int) -> Found:
    """As it stands after so much shrinking."""
    broken = played.named(frozenset({name}))
    assert broken is not None
    spec = replace(spec, scenario=replace(spec.scenario, name="found"))
    return Found(name, broken.what, number, faults_first, len(spec.faults), played.trace_hash, text_of(spec))


def placed(spec: Spec, file: Path) -> Spec:
    """A scenario that may be written anywhere: its model's path is whole."""
    if not isinstance(spec, Scenario) or spec.model.bundle.startswith(BUILTIN):
        return spec
    return replace(spec, model=replace(spec.model, bundle=str(bundle_path(spec.model, file))))


def written(found: Found, folder: Path) -> Found:
    """Put it into ``folder`` as ``INVARIANT.toml``; says where."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{found.invariant}.toml"
    head = [
        f"Breaks '{found.invariant}': {INVARIANTS[found.invariant]}.",
        found.what,
        f"Again: jidoka sim run {file} --virtual",
        f"trace: {found.trace_hash or 'none, the run ends'}",
    ]
    comment = "".join(f"# {' '.join(line.split())}\n" for line in head)
    file.write_text(comment + found.toml, encoding="utf-8")
    return replace(found, file=str(file))
