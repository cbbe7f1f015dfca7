"""What a model's inputs beside the picture are told."""

from __future__ import annotations

from edge.errors import ModelError
from edge.models.contract import picture_of
from edge.models.guard import Signature
from edge.vision.extras import ExtraInput
from edge.vision.spec import InputSpec

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


def extra_inputs(signature: Signature, spec: InputSpec) -> tuple[ExtraInput, ...]:
    """What the inputs beside the picture are told. Raises ModelError MODEL_INPUT_UNFIT if that does not fit them, if
    one is told nothing, or if there is no such input.
    """
    picture = picture_of(signature)
    others = [one for one in signature.inputs if one is not picture]
    strange = sorted(set(spec.extra) - {one.name for one in others})
    if strange:
        names = ", ".join(one.name for one in others) or "none but the picture"
        raise _unfit(f"[input.extra] names {', '.join(strange)}", f"the model's other inputs: {names}")
    made = []
    for one in others:
        if one.name not in spec.extra:
            raise _unfit(f"the model has a second input {one.name!r}", "[input.extra] does not say what it is told")
        if one.type not in _DTYPES:
            raise _unfit(f"the model has a second input {one.name!r}", f"it takes {one.type}")
        extra = ExtraInput(one.name, spec.extra[one.name], one.shape, _DTYPES[one.type])
        if extra.unfit:
            raise _unfit(f"[input.extra] {one.name}", extra.unfit)
        made.append(extra)
    return tuple(made)


def _unfit(what: str, why: str) -> ModelError:
    return ModelError("MODEL_INPUT_UNFIT", what, why, "correct [input.extra] in model.toml")
