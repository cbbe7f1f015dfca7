"""What can be told of a bare series or table model: skl2onnx classifiers and regressors, and tensors by shape.

skl2onnx (https://onnx.ai/sklearn-onnx/): one input ``[N, C]``, or one ``[N, 1]`` a column; a classifier answers
``label``/``output_label`` and ``probabilities``/``output_probability`` (tensor, or a sequence of maps after ZipMap),
a regressor ``variable``, an outlier detector ``label`` and ``scores``.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from edge.domain import ID_PATTERN
from edge.errors import ModelError
from edge.models import strangers
from edge.models.bundle import MAX_LABELS, About
from edge.models.graph.nodes import ModelFile
from edge.models.guard import Signature, Tensor
from edge.models.series.manifest import SeriesManifest
from edge.series.conventions import (
    SeriesClassHead,
    SeriesHead,
    SeriesRawHead,
    SeriesReconstructionHead,
    SeriesScoreHead,
    SeriesValueHead,
    Value,
)
from edge.series.spec import MAX_CHANNELS, Channel, Layout, SeriesInput

DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(string)": "str",
}
"""Types of inputs that samples can be given as."""

FREE_WINDOW_N = 64
"""What is taken where the file leaves the time axis free."""

_RANK_TABLE, _RANK_SERIES = 2, 3
_PROBABILITIES = {"probabilities", "output_probability", "probability", "probs"}


@dataclass(frozen=True, slots=True)
class _Answer:
    head: SeriesHead
    labels: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def looks_like_series(signature: Signature) -> bool:
    """True where every input is a row ``[N, C]`` or a window ``[N, T, C]`` of numbers or texts."""
    lengths = _lengths(signature)
    rest = [one for one in signature.inputs if one is not lengths]
    return bool(rest) and all(one.type in DTYPES and len(one.shape) in {_RANK_TABLE, _RANK_SERIES} for one in rest)


def _lengths(signature: Signature) -> Tensor | None:
    """The input that is told how many samples a window has (packed sequences of PyTorch): whole numbers ``[N]`` beside
    one window.
    """
    windows = [one for one in signature.inputs if len(one.shape) == _RANK_SERIES]
    rest = [one for one in signature.inputs if one not in windows]
    if len(windows) != 1 or len(rest) != 1 or rest[0].type not in {"tensor(int64)", "tensor(int32)"}:
        return None
    return rest[0] if len(rest[0].shape) == 1 and "len" in rest[0].name.lower() else None


def propose(signature: Signature, graph: ModelFile, name: str) -> tuple[SeriesManifest, tuple[str, ...]]:
    """A manifest, and what was assumed, a sentence each. Raises ModelError MODEL_INPUT_UNFIT."""
    strangers.refuse(signature.inputs)
    spec, assumed = _input(signature, graph)
    answer = _answer(signature, graph)
    about = About(
        name=name if ID_PATTERN.fullmatch(name) else "model",
        task="raw" if isinstance(answer.head, SeriesRawHead) else "series",
        labels=answer.labels,
        licence=signature.metadata.get("license", "")[:200],
    )
    return SeriesManifest(model=about, input=spec, output=answer.head), (*assumed, *answer.assumed)


def _input(signature: Signature, graph: ModelFile) -> tuple[SeriesInput, tuple[str, ...]]:
    inputs = signature.inputs
    if not looks_like_series(signature):
        seen = ", ".join(f"{t.name[:40]} {t.type} {list(t.shape)}" for t in inputs[:6])
        what, hint = "the model takes no rows or windows of samples", "needed: [N, C], [N, T, C] or [N, C, T]"
        raise ModelError("MODEL_INPUT_UNFIT", what, f"its inputs are {seen or 'none'}", hint)
    lengths = _lengths(signature)
    if lengths is not None:
        window = next(one for one in inputs if one is not lengths)
        spec, assumed = _window(window.shape[1], window.shape[2])
        spec = msgspec.structs.replace(
            spec, channels=tuple(msgspec.structs.replace(c, input=window.name) for c in spec.channels),
            length_input=lengths.name, min_n=1, stride_n=spec.window_n,
        )  # fmt: skip
        return spec, (
            *assumed,
            f"its input {lengths.name!r} is told how many samples the window has: short ones are taken",
        )
    if len(inputs) > 1:
        if any(len(one.shape) != _RANK_TABLE or one.shape[1] not in {1, None} for one in inputs):
            raise _write_bundle("it has several inputs that are no single columns")
        channels = tuple(
            Channel(name=one.name[:64], input=one.name, categories=_categories(one, graph)) for one in inputs
        )
        return SeriesInput(channels=channels), ("each input is a column of its name, each row a window",)
    shape = inputs[0].shape
    if len(shape) == _RANK_TABLE:
        width = shape[1]
        if width is None:
            raise _write_bundle("the number of its columns is free")
        return SeriesInput(channels=_numbered(width)), (
            f"each row is a window of its own; the {width} columns are taken in the order of the file",
        )
    return _window(shape[1], shape[2])


def _categories(tensor: Tensor, graph: ModelFile) -> tuple[str, ...]:
    """Texts a column may hold: those of the encoder it leads to (``cats_strings`` of OneHotEncoder, ``keys_strings`` of
    LabelEncoder, ONNX-ML operators), through nodes that only hand it on. Empty for numbers.
    """
    if DTYPES[tensor.type] != "str":
        return ()
    names = {tensor.name}
    for node in graph.graph.nodes:
        if not names & set(node.inputs):
            continue
        texts = node.attributes.get("cats_strings") or node.attributes.get("keys_strings")
        if isinstance(texts, list) and texts:
            return tuple(str(text) for text in texts)
        names |= set(node.outputs)
    raise _write_bundle(f"what texts its input {tensor.name!r} may hold is not in the file")


def _window(second: int | None, third: int | None) -> tuple[SeriesInput, tuple[str, ...]]:
    """A free axis is time; of two known ones the longer."""
    if second is None and third is None:
        raise _write_bundle("both axes of its window are free")
    time_first = second is None or (third is not None and second > third)
    length, width = (second, third) if time_first else (third, second)
    layout: Layout = "tc" if time_first else "ct"
    n = FREE_WINDOW_N if length is None else length
    assert width is not None
    said = f"{n} samples of {width} channels, as [1, {'T, C' if time_first else 'C, T'}]; unscaled"
    return SeriesInput(channels=_numbered(width), window_n=n, layout=layout), (said,)


def _numbered(width: int) -> tuple[Channel, ...]:
    if width > MAX_CHANNELS:
        raise _write_bundle(f"it has {width} columns, which may be a flat window")
    return tuple(Channel(name=str(i)) for i in range(width))


def _answer(signature: Signature, graph: ModelFile) -> _Answer:
    outputs = signature.outputs
    classes = class_names(graph)
    maps = next((one for one in outputs if one.type.startswith("seq(map(")), None)
    if maps is not None and classes:
        return _Answer(SeriesClassHead(output=maps.name), classes)
    if classes and len(outputs) == len(classes) + 1:
        columns = tuple(one.name for one in outputs[1:])
        return _Answer(SeriesClassHead(columns=columns), classes)
    tables = [one for one in outputs if one.type in {"tensor(float)", "tensor(double)"}]
    if classes and tables and _width(tables[0]) in {len(classes), None}:
        return _Answer(SeriesClassHead(output=tables[0].name), classes)
    named = next((one for one in tables if one.name in _PROBABILITIES), None)
    if named is not None and len(outputs) > 1 and (_width(named) or 0) > 1:
        n = _width(named) or 0
        listed = _constant_classes(graph, n)
        if listed:
            return _Answer(SeriesClassHead(output=named.name), listed)
        numbered = ("labels are numbers: the file has no names",)
        return _Answer(SeriesClassHead(output=named.name), tuple(map(str, range(n))), numbered)
    scores = next((one for one in tables if one.name == "scores"), None)
    if scores is not None and len(outputs) > 1:
        said = "lower scores are the unusual ones (scikit-learn's decision_function); at 0 begins the unusual"
        return _Answer(SeriesScoreHead(output=scores.name, sign=-1, threshold=0.0), (), (said,))
    if len(outputs) == 1 and tables:
        window = next(one for one in signature.inputs if len(one.shape) > 1)
        return _by_shape(tables[0], window)
    return _Answer(SeriesRawHead(), (), ("what its outputs mean cannot be told: they are given as they are",))


def _by_shape(output: Tensor, given: Tensor) -> _Answer:
    if len(given.shape) == _RANK_SERIES and output.shape[1:] == given.shape[1:]:
        return _Answer(SeriesReconstructionHead(), (), ("it gives its input again; no threshold is known",))
    width = _width(output)
    if width == 1:
        return _Answer(SeriesValueHead(values=(Value(name=output.name[:64] or "value"),)), (), ("it gives one value",))
    if width is not None and width <= MAX_LABELS and output.name.lower().startswith(("prob", "softmax")):
        labels = tuple(map(str, range(width)))
        return _Answer(SeriesClassHead(), labels, ("labels are numbers: the file has no names",))
    said = "what its output means cannot be told (classes or values): it is given as it is"
    return _Answer(SeriesRawHead(), (), (said,))


def class_names(graph: ModelFile) -> tuple[str, ...]:
    """Labels in the attributes of ONNX-ML classifiers and ZipMap (``classlabels_strings``, ``classlabels_int64s``)."""
    for node in reversed(graph.graph.nodes):
        for key in ("classlabels_strings", "classlabels_int64s", "classlabels_ints"):
            names = node.attributes.get(key)
            if isinstance(names, list) and len(names) > 1:
                return tuple(str(name)[:64] for name in names[:MAX_LABELS])
    return ()


def _constant_classes(graph: ModelFile, n: int) -> tuple[str, ...]:
    """Labels that classifiers without an operator of their own (MLP, nearest neighbours) look up by number: a constant
    that ArrayFeatureExtractor or Gather picks from.
    """
    for node in graph.graph.nodes:
        if node.op not in {"ArrayFeatureExtractor", "Gather"} or not node.inputs:
            continue
        constant = graph.graph.constants.get(node.inputs[0])
        array = constant.array(MAX_LABELS) if constant is not None and "class" in node.inputs[0].lower() else None
        if array is not None and array.size == n:
            return tuple(
                str(one.decode() if isinstance(one, bytes) else one)[:64] for one in array.reshape(-1).tolist()
            )
    return ()


def _width(output: Tensor) -> int | None:
    return output.shape[-1] if len(output.shape) > 1 else None if not output.shape else 1


def _write_bundle(why: str) -> ModelError:
    hint = "write a bundle whose model.toml says so, see the guide on series"
    return ModelError("MODEL_INPUT_UNFIT", "cannot tell how to feed the model", why, hint)
