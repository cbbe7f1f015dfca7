"""Ways of making a variant, and making it: ONNX Runtime's quantisation tools, with what they stumble over put right first.

Sources: ONNX Runtime documentation, "Quantize ONNX models" (static with calibration for convolutions, dynamic for
multiplications of matrices; reduced range on CPUs without VNNI, where pairs of products saturate 16 bits); ONNX operator
``DequantizeLinear`` (a scale a channel since operator set 13: older models do not load after it).
"""

from __future__ import annotations

import contextlib
import io
import logging
import platform
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.models.runtime import ort
from edge.models.tuning.machine import Machine
from edge.models.variants import nodes

Mode = Literal["conv", "full", "dynamic", "fp16"]
Method = Literal["minmax", "percentile", "entropy"]
Keep = Literal["", "ends", "depthwise"]
Feeds = Callable[[], Iterator[dict[str, NDArray[Any]]]]

CONVOLUTIONS = ("Conv", "Relu", "Clip")
"""Activations that an integer range does by itself come along: without them the range of what they cut off is spent."""
PRODUCTS = ("MatMul", "LSTM", "Attention")
"""What becomes dynamic; ``Gemm`` is made a ``MatMul`` first. Not ``Conv``: as ``ConvInteger`` it is slower than in float32."""
OPSET = 17
_QUANTIZED, _DYNAMIC = b"QuantizeLinear", b"DynamicQuantizeLSTM"
_FLOAT = 1
"""``TensorProto.FLOAT``."""
_LEAST_OPSET, _LEAST_IR = 13, 8
EXTRA = 'pip install "jidoka-edge[quantize]"'
_WORDS = {
    "conv": "static int8, convolutions only",
    "full": "static int8, all layers",
    "dynamic": "dynamic int8",
    "fp16": "float16",
}
_KEPT = {
    "": "",
    "ends": ", first and last layers float32",
    "depthwise": ", first, last and depthwise layers float32",
}


class Recipe(Struct, frozen=True):
    """``keep``: what stays in float32 besides the head. ``ends``: the first and the last learnt layers; the first sees the
    picture, whose range says little of what matters in it, the last give the numbers that are decoded, and both are a
    small part of the work. ``depthwise``: convolutions of each channel by itself as well, with few weights each.
    """

    mode: Mode
    method: Method = "minmax"
    keep: Keep = ""

    @property
    def how(self) -> str:
        """For a table and for the manifest."""
        words = _WORDS[self.mode]
        if self.mode in {"conv", "full"}:
            words += f", {self.method}"
        return words + _KEPT[self.keep]

    @property
    def name(self) -> str:
        """What the variant is called unless the user says otherwise."""
        return "fp16" if self.mode == "fp16" else "int8"


def recipes_for(
    mode: str, method: str, has_convolutions: bool, *, is_series: bool = False, is_recurrent: bool = False
) -> list[list[Recipe]]:
    """Groups of recipes: a later one is only tried where nothing of an earlier one agrees with the original.

    Networks without convolutions are made dynamic: ranges found anew in each run cost little beside a product of
    matrices, and cannot be wrong. Of series models all layers in int8 are tried as well where that does not agree.
    """
    if mode == "auto" and not has_convolutions:
        if is_series and not is_recurrent:
            return [[Recipe("dynamic")], [Recipe("full")], [Recipe("full", keep="ends")]]
        mode = "dynamic"
    if mode in {"dynamic", "fp16"}:
        return [[Recipe(mode)]]  # type: ignore[arg-type]
    modes: list[Mode] = ["conv", "full"] if mode == "auto" else [mode]  # type: ignore[list-item]
    if method != "auto":
        keeps: tuple[Keep, ...] = ("", "ends", "depthwise")
        return [[Recipe(m, method, keep) for m in modes] for keep in keeps]  # type: ignore[arg-type]
    others: tuple[Method, ...] = ("percentile", "entropy")
    beside = [Recipe("dynamic")] if mode == "auto" and is_recurrent else []
    return [
        [*(Recipe(m) for m in modes), *beside],
        [Recipe(m, keep="ends") for m in modes],
        [Recipe(m, other, "ends") for m in modes for other in others],
        [Recipe(modes[0], keep="depthwise")],
    ]


def imported() -> Any:
    """The package onnx. Raises ModelError QUANTIZE_NOT_INSTALLED."""
    try:
        import onnx
    except ImportError as error:
        raise ModelError(
            "QUANTIZE_NOT_INSTALLED", "making variants needs the package onnx", str(error), EXTRA
        ) from error
    return onnx


def prepared(data: bytes, external: dict[str, bytes]) -> Any:
    """The model as an ``onnx.ModelProto`` the tools can take: weights inside, none of them among the inputs (else nothing
    is folded), an operator set with a scale a channel, simple sub-graphs folded, shapes inferred, every node named.

    Raises ModelError MODEL_NOT_QUANTIZABLE, QUANTIZE_NOT_INSTALLED.
    """
    onnx = imported()
    from onnxruntime.quantization.shape_inference import quant_pre_process

    try:
        with _quiet(), tempfile.TemporaryDirectory(prefix="jidoka-quantize-") as folder:
            for name, content in external.items():  # names were checked when they were read
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / name).write_bytes(content)
            (Path(folder) / "model.onnx").write_bytes(data)
            model = onnx.load(Path(folder) / "model.onnx")
            model.ir_version = max(model.ir_version, _LEAST_IR)  # before version 4 weights had to be inputs
            _tidy(model)
            if _opset(model) < _LEAST_OPSET:
                model = onnx.version_converter.convert_version(model, OPSET)
            source, made = Path(folder) / "source.onnx", Path(folder) / "prepared.onnx"
            source.write_bytes(model.SerializeToString())
            with contextlib.suppress(Exception):  # shapes and folding are a help, no need
                quant_pre_process(str(source), str(made), skip_symbolic_shape=True)
                model = onnx.load(made)
    except Exception as error:  # the converter raises whatever it likes
        raise _unfit(error) from error
    nodes.names_in_order(model.graph)
    return model


def make(model: Any, recipe: Recipe, feeds: Feeds, machine: Machine) -> bytes:
    """The variant's bytes. Raises ModelError MODEL_NOT_QUANTIZABLE."""
    try:
        with _quiet(), tempfile.TemporaryDirectory(prefix="jidoka-quantize-") as folder:
            # By path: the tools move the weights of a model in memory out into a file of theirs, and leave it so.
            source = Path(folder) / "source.onnx"
            source.write_bytes(model.SerializeToString())
            made = _make(model, recipe, feeds, machine, source)
    except Exception as error:  # as above
        raise _unfit(error) from error
    if recipe.mode != "fp16" and _QUANTIZED not in made and _DYNAMIC not in made:
        raise ModelError("MODEL_NOT_QUANTIZABLE", "nothing is left to be made smaller", "")
    return made


def _make(model: Any, recipe: Recipe, feeds: Feeds, machine: Machine, source: Path) -> bytes:
    from onnxruntime import quantization

    tools: Any = quantization  # its typing does not export what its documentation does
    made = source.with_name("made.onnx")
    if recipe.mode == "fp16":
        from onnxruntime.transformers import float16

        halved: Any = float16
        copy = type(model)()
        copy.CopyFrom(model)
        data: bytes = halved.convert_float_to_float16(copy, keep_io_types=True).SerializeToString()
        return data
    if recipe.mode == "dynamic":
        tools.quantize_dynamic(
            source,
            made,
            op_types_to_quantize=[*PRODUCTS],
            per_channel=True,
            weight_type=tools.QuantType.QInt8,
            # Of what comes out of ONNX-ML's operators (scikit-learn's scalers) types are not inferred. Where this guess
            # is wrong, the result does not load.
            extra_options={"DefaultTensorType": _FLOAT},
        )
        return made.read_bytes()
    tools.quantize_static(
        str(source),
        str(made),
        _reader(tools.CalibrationDataReader, feeds)(),
        quant_format=tools.QuantFormat.QDQ,
        op_types_to_quantize=[*CONVOLUTIONS] if recipe.mode == "conv" else None,
        nodes_to_exclude=nodes.left_alone(model.graph, recipe.keep),
        per_channel=True,
        reduce_range=_saturates(machine),
        activation_type=tools.QuantType.QUInt8,
        weight_type=tools.QuantType.QInt8,
        calibrate_method={
            "minmax": tools.CalibrationMethod.MinMax,
            "percentile": tools.CalibrationMethod.Percentile,
            "entropy": tools.CalibrationMethod.Entropy,
        }[recipe.method],
    )
    return made.read_bytes()


def _reader(base: Any, feeds: Feeds) -> Any:
    class Reader(base):  # type: ignore[misc]
        """The runtime's own interface: one dictionary of inputs after the other, then None."""

        def __init__(self) -> None:
            self._rest = feeds()

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return next(self._rest, None)

    return Reader


def _tidy(model: Any) -> None:
    weights = {one.name for one in model.graph.initializer}
    for one in [one for one in model.graph.input if one.name in weights]:
        model.graph.input.remove(one)


def _opset(model: Any) -> int:
    return next((one.version for one in model.opset_import if one.domain in {"", "ai.onnx"}), 0)


def _saturates(machine: Machine) -> bool:
    return not machine.multiplies_int8 and platform.machine().lower() in {"x86_64", "amd64"}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The tools print and log, on stdout, too, which is for results."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    ort.set_default_logger_severity(4)
    try:
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            yield
    finally:
        logging.disable(level)
        ort.set_default_logger_severity(2)


def _unfit(error: Exception) -> ModelError:
    text = " ".join(str(error).split())[:300] or type(error).__name__
    return ModelError("MODEL_NOT_QUANTIZABLE", "the tools cannot make this variant of the model", text)
