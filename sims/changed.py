"""A trace's head with other settings, and what such a replay cannot tell."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from edge.core.settings import Settings, with_remote
from edge.errors import ConfigError, RemoteError
from edge.messages import Scalar
from edge.trace.head import Head, head_of, settings_of


def with_values(head: Head, values: Mapping[str, str]) -> Head:
    """With some of the settings that a coordinator could change, as ``policy.other.min_score`` to ``0.6``.

    Raises ConfigError SETTING_UNKNOWN, SETTING_TYPE, SETTING_RANGE.
    """
    settings, _ = settings_of(head)
    keys = {key.name: key for key in settings.remote}
    wanted: dict[str, Scalar] = {}
    for name, text in values.items():
        if name not in keys:
            near = difflib.get_close_matches(name, keys, n=1)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else f"known: {', '.join(sorted(keys)) or 'none'}; --settings takes any"
            )
            raise ConfigError("SETTING_UNKNOWN", f"{name!r} is not a setting that can be changed here", "", hint)
        wanted[name] = _scalar(keys[name].kind, text)
    try:
        settings = with_remote(settings, wanted)
    except RemoteError as error:
        raise ConfigError(error.code, error.what, error.why, error.hint) from error
    return with_settings(head, settings, {recipe: policy.name for recipe, policy in head.policies.items()})


def with_settings(head: Head, settings: Settings, names: dict[str, str]) -> Head:
    """With all settings of another file, under the names that the trace knows: the agent, its models, its key."""
    old = head.settings
    known = {name: recipe.model for name, recipe in old.recipes.items()}
    recipes = {
        name: replace(recipe, model=known.get(name, known["default"])) for name, recipe in settings.recipes.items()
    }
    settings = replace(
        settings,
        site=old.site,
        agent=old.agent,
        versions=old.versions,
        command_key=old.command_key,
        recipes=recipes,
    )
    made = head_of(settings, names, head.boot, head.seed)
    return replace(made, made_utc_ms=head.made_utc_ms, anonymous=head.anonymous, floors=head.floors)


def without_remote(head: Head) -> Head:
    """As after ``jidoka run --forget-remote``."""
    return replace(head, boot=replace(head.boot, kept=None))


def unsure_of(old: Head, new: Head) -> list[str]:
    """Sentences on what a replay of ``old`` with the settings of ``new`` cannot tell."""
    said = []
    before, after = settings_of(old), settings_of(new)
    for recipe, options in after[0].policies.items():
        least, floor = _least(options), old.floors.get(recipe)
        if least is not None and floor is not None and least < floor:
            said.append(
                f"recipe {recipe!r}: a rule counts scores from {least:g} on, but below {floor:g} the model "
                f"reported nothing when this was recorded"
            )
        frames = [
            settings[1][recipe](settings[0].policies[recipe]).frames
            for settings in (before, after)
            if recipe in settings[0].policies
        ]
        if len(frames) == 2 and frames[1] > frames[0]:
            said.append(f"recipe {recipe!r}: {frames[1]} pictures a part are wanted, and {frames[0]} were taken")
    lost = sorted(set(before[0].sources) - set(after[0].sources))
    if lost:
        said.append(f"sources of the trace that are not in these settings: {', '.join(lost)}")
    if old.anonymous:
        said.append("the trace is anonymous: rules on texts see pseudonyms")
    return said


def _least(options: Any) -> float | None:
    """The least score that any of the rules looks at."""
    rules = [*getattr(options, "labels", {}).values(), getattr(options, "other", None)]
    scores = [
        one.min_score if one.unsure_score is None else min(one.min_score, one.unsure_score)
        for one in rules
        if one is not None and one.verdict != "ignore"
    ]
    return min(scores) - getattr(options, "hysteresis", 0.0) if scores else None


def _scalar(kind: str, text: str) -> Scalar:
    """As the setting wants it; what does not fit is told by the check of the settings."""
    if kind == "str":
        return text
    try:
        value = msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        return text
    return value if isinstance(value, int | float | bool) else text
