"""Models that look at neither pictures nor series: said in one line what they are, instead of how they do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edge.errors import ModelError

_INTS = {"tensor(int64)", "tensor(int32)"}
_TEXT_WORDS = ("input_ids", "token", "attention_mask", "decoder_input", "bytes")
_AUDIO_WORDS = ("audio", "wav", "speech", "mel", "pcm", "sample_rate", "sr", "mfcc", "fbank")
_STATE_WORDS = ("state", "hidden", "cache", "past_key", "h", "c", "h0", "c0", "hn", "cn")
_FEWEST_TOKENS = 64
_VOLUME_RANK = 5
HINT = (
    "cut it to what takes a picture or a window of samples, or run it in a plug-in of your own, see the guide on heads"
)


class Input(Protocol):
    """A model's input, as the guard saw it."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> tuple[int | None, ...]: ...

    @property
    def type(self) -> str: ...


def refuse(inputs: Sequence[Input]) -> None:
    """Raises ModelError MODEL_INPUT_UNFIT for what is certainly neither a picture's nor a series' model."""
    what = kind_of(inputs)
    if what:
        seen = ", ".join(f"{one.name[:32]} {_shown(one)}" for one in inputs[:4])
        raise ModelError(
            "MODEL_INPUT_UNFIT", f"this is {what}: there is no head for it", f"its inputs are {seen}", HINT
        )


def kind_of(inputs: Sequence[Input]) -> str:
    """``a model of texts …``, ``of sound …``, ``of volumes or videos``; '' where it may be one of ours."""
    names = [one.name.lower().split(":")[0] for one in inputs]
    if any(len(one.shape) == 4 for one in inputs):  # noqa: PLR2004  (a picture)
        return ""
    if all(len(one.shape) == 2 and one.shape[1] == 1 for one in inputs):  # noqa: PLR2004  (columns of a table)
        return ""
    if any(word in name for name in names for word in _TEXT_WORDS):
        return "a model of texts (it takes tokens)"
    if len(inputs) == 1 and inputs[0].type in _INTS and len(inputs[0].shape) == 2:  # noqa: PLR2004  (rank)
        length = inputs[0].shape[1]
        if length is None or length >= _FEWEST_TOKENS:
            return "a model of texts or bytes (it takes whole numbers, one a token)"
    if any(name == word or name.startswith(f"{word}_") for name in names for word in _AUDIO_WORDS):
        return "a model of sound"
    if len(inputs) > 1 and any(name in _STATE_WORDS or word in name for name in names for word in _STATE_WORDS[:4]):
        return "a model that carries a state from call to call (speech, streams)"
    if any(len(one.shape) == _VOLUME_RANK for one in inputs):
        return "a model of volumes or videos (its input has five axes)"
    return ""


def _shown(tensor: Input) -> str:
    return f"[{', '.join('?' if d is None else str(d) for d in tensor.shape)}]"
