"""How a model is to be run here: what the settings say, and where they leave it open, what was measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from edge.errors import ModelError
from edge.models.bundle import BareFile, Bundle
from edge.models.series.manifest import SeriesBundle
from edge.models.tuning.machine import this_machine
from edge.models.tuning.profile import Profile, recall
from edge.models.tuning.way import Way
from edge.models.variants.reading import row_of
from edge.models.variants.table import AUTO, ORIGINAL

Found = Bundle | BareFile | SeriesBundle
Made = TypeVar("Made")

_AGAIN = "measure again with `jidoka model bench`"


class Wish(Struct, frozen=True):
    """``[model] variant`` and ``workers``. ``variant`` is ``auto`` (what the profile says, else the original),
    ``original``, or a name; ``workers`` 0 is as the profile says, else one.
    """

    variant: str = ORIGINAL
    workers: int = 0


class Plan(Struct, frozen=True):
    """``variant`` is '' for the original. ``notes`` are sentences for the log: why a profile is not used."""

    variant: str = ""
    way: Way = Way()
    notes: tuple[str, ...] = ()


def plan_of(found: Found, wish: Wish, cache: Path | None = None) -> Plan:
    """The profile's way where it holds here and fits the wish, else one thread of the original.

    Raises ModelError MODEL_VARIANT_UNKNOWN for a name the bundle does not have.
    """
    wanted = "" if wish.variant in {AUTO, ORIGINAL} else wish.variant
    if wanted:
        _row(found, wanted)
    usual = Plan(wanted, Way(workers=wish.workers or 1))
    if wish.variant == ORIGINAL and wish.workers:
        return usual
    profile = recall(found.sha256, cache)
    if profile is None:
        return usual
    void = profile.differs(this_machine()) or _unfit(found, profile)
    if void:
        return replace(usual, notes=(f"the profile of {_name(found)} is not used: {void}; {_AGAIN}",))
    if wish.variant != AUTO and profile.variant != wanted:
        return usual  # its figures are of another form of the model
    way = profile.way
    if wish.workers and wish.workers != way.workers:
        way = replace(way, workers=wish.workers, intra=1, spinning=False)
    return Plan(profile.variant, way)


def carried_out(found: Found, wish: Wish | None, make: Callable[[Plan], Made], cache: Path | None = None) -> Made:
    """Whatever ``make`` makes of the plan; without a wish that of the original, the usual way. What was chosen by itself
    and does not work here any more costs a sentence, not the start. Raises ModelError, as ``make`` and :func:`plan_of`.
    """
    plan = Plan() if wish is None else plan_of(found, wish, cache)
    try:
        return make(plan)
    except ModelError as error:
        if wish is None or wish.variant != AUTO or (not plan.variant and plan.way.runtime == Way().runtime):
            raise
        return make(Plan("", Way(workers=wish.workers or 1), (*plan.notes, f"the profile is not used: {error}")))


def _row(found: Found, name: str) -> str:
    """The sha256 of a variant. Raises ModelError MODEL_VARIANT_UNKNOWN."""
    if isinstance(found, BareFile) or found.folder is None:
        hint = "pack it as a bundle and use `jidoka model quantize`"
        raise ModelError("MODEL_VARIANT_UNKNOWN", f"a bare file has no variant {name!r}", "", hint)
    return row_of(found, name).sha256


def _unfit(found: Found, profile: Profile) -> str:
    """Only what the manifest says was held against the original is run."""
    if not profile.variant:
        return ""
    rows = () if isinstance(found, BareFile) else found.manifest.variant
    row = next((one for one in rows if one.name == profile.variant), None)
    if row is None or row.of != found.sha256:
        return f"it chose the variant {profile.variant!r}, which the bundle does not have any more"
    if profile.way.engine not in row.engines:
        return f"the variant {profile.variant!r} was not held against the original with {profile.way.engine}"
    if row.sha256 != profile.variant_sha256:
        return f"the variant {profile.variant!r} was made again since"
    return ""


def _name(found: Found) -> str:
    return found.name if isinstance(found, BareFile) else found.manifest.model.name
