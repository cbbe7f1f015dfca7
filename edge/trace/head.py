"""How a trace begins and ends: what the core was made from, and why nothing follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from edge.core.dialogue import Boot
from edge.core.policy import Policy
from edge.core.settings import Settings
from edge.errors import InputError
from edge.registry import POLICIES, load
from edge.trace.codec import HINT


class PolicyHead(Struct, frozen=True):
    """A policy by its short name, with its options as plain values."""

    name: str
    options: dict[str, Any]


class Head(Struct, frozen=True):
    """Everything that an ``AgentCore`` was made from. No secret is in it: see :mod:`edge.trace.clean`.

    ``settings.policies`` is empty: ``policies`` has them by recipe. ``seed`` is that of the core's ``random.Random``.
    ``floors``: the least score that the recipe's model reported, where known; a rule below it cannot be judged.
    ``command_key`` of the settings was made for the trace: signatures in it are made anew with this key where the agent
    found them genuine.
    """

    settings: Settings
    policies: dict[str, PolicyHead]
    boot: Boot
    seed: int
    made_utc_ms: int = 0
    anonymous: bool = False
    floors: dict[str, float] = {}


class End(Struct, frozen=True):
    """Why nothing follows. ``rows`` are in the trace; ``lost`` came after its end and are not, as far as was counted.

    ``changed``: of an anonymous trace, in how many verdicts the core decided otherwise for seeing pseudonyms.
    """

    why: Literal["stopped", "full", "slow", "disk", "bug"]
    rows: int
    lost: int = 0
    changed: int = 0


Policies = dict[str, Callable[[Any], Policy]]

_encoder = msgspec.msgpack.Encoder()
_head = msgspec.msgpack.Decoder(Head)
_end = msgspec.msgpack.Decoder(End)


def head_of(settings: Settings, names: dict[str, str], boot: Boot, seed: int, **more: Any) -> Head:
    """``names`` are the short names of the recipes' policies. The command key must have been replaced before."""
    policies = {
        recipe: PolicyHead(names[recipe], msgspec.to_builtins(options)) for recipe, options in settings.policies.items()
    }
    return Head(replace(settings, policies={}), policies, boot, seed, **more)


def settings_of(head: Head) -> tuple[Settings, Policies]:
    """The core's settings and policy classes. Raises ConfigError for a policy that is not installed here, InputError
    TRACE_UNREADABLE for options it does not take.
    """
    options, classes = {}, {}
    for recipe, policy in head.policies.items():
        kind = classes[recipe] = load(POLICIES, policy.name)
        try:
            options[recipe] = msgspec.convert(policy.options, kind.Options)
        except msgspec.ValidationError as error:
            what = f"policy {policy.name!r} does not take its options any more"
            raise InputError("TRACE_UNREADABLE", what, str(error), HINT) from error
    if "default" not in options:
        raise InputError("TRACE_UNREADABLE", "the trace names no policy", hint=HINT)
    return replace(head.settings, policies=options), classes


def pack_head(head: Head | End) -> bytes:
    """Of either."""
    return _encoder.encode(head)


def unpack_head(data: bytes) -> Head:
    """Raises InputError TRACE_UNREADABLE."""
    try:
        return _head.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("TRACE_UNREADABLE", "the trace's head cannot be read", str(error), HINT) from error


def unpack_end(data: bytes) -> End:
    """Raises InputError TRACE_UNREADABLE."""
    try:
        return _end.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError("TRACE_UNREADABLE", "the trace's end cannot be read", str(error), HINT) from error
