"""Which ways of running are worth a measurement here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge.models.benching.measuring import Config, Form
from edge.models.runtime import ort
from edge.models.tuning.way import CPU, MAX_THREADS, Way

REMOTE = frozenset({"AzureExecutionProvider"})
"""Sends inputs to a service elsewhere; nothing leaves the plant."""


def configs_of(
    forms: Sequence[Form], *, cores: int, providers: Sequence[str] = (), openvino: bool = False
) -> list[Config]:
    """The usual way first (the first form is the original), then what may be better. ``providers``: also asked for,
    whether the runtime has them or not; those it has are tried in any case.
    """
    original, *variants = forms
    found = [Config(original, way) for way in ways(cores)]
    counts = sorted({1, min(cores, MAX_THREADS)})
    for form in variants:
        found += [Config(form, Way(workers=n)) for n in counts]
    if openvino:
        for form in forms:
            if "openvino" in form.engines:
                found += [Config(form, Way(engine="openvino", workers=n)) for n in counts]
        if cores > 1:
            found.append(Config(original, Way(engine="openvino", intra=min(cores, MAX_THREADS))))
    there = [one for one in ort.get_available_providers() if one not in {CPU, *REMOTE}]
    for provider in dict.fromkeys((*there, *(full_name(one) for one in providers))):
        if provider != CPU:
            found.append(Config(original, Way(provider=provider)))
    return found


def ways(cores: int) -> Iterator[Way]:
    """On ONNX Runtime and the CPU: workers against threads inside (powers of two up to the cores, and mixtures that fill
    them), the runtime's own spinning, levels of graph rewriting.
    """
    cores = min(cores, MAX_THREADS)
    counts = [*(n for n in (2, 4, 8, 16, 32) if n < cores), *([cores] if cores > 1 else [])]
    yield Way()
    for n in counts:
        yield Way(workers=n)
    for n in counts:
        yield Way(intra=n)
    if cores >= 4:  # noqa: PLR2004 - the least that has a mixture
        yield Way(workers=cores // 2, intra=2)
    if cores > 1:
        yield Way(intra=cores, spinning=True)
    for level in ("extended", "basic", "none"):
        yield Way(optimisation=level)


def full_name(provider: str) -> str:
    """``cuda`` and ``CUDAExecutionProvider`` alike, as the runtime spells it where it knows it."""
    stem = provider.removesuffix("ExecutionProvider").lower()
    for known in ort.get_all_providers():
        if known.removesuffix("ExecutionProvider").lower() == stem:
            return str(known)
    return provider if provider.endswith("ExecutionProvider") else f"{provider}ExecutionProvider"
