"""Settings that are right one by one and make no sense together: most would be silent, and let every part pass."""

from __future__ import annotations

from typing import Any

from edge.config.agent import AgentConfig
from edge.config.locate import Locator
from edge.config.locate import Path as KeyPath
from edge.errors import ConfigError


def check_sense(config: AgentConfig, locator: Locator, devices: dict[str, Any], policies: dict[str, Any]) -> None:
    """``devices`` and ``policies`` are their own options, by device and by recipe; those of others' plug-ins are
    looked at as far as they have the same names. Raises ConfigError CONFIG_WRONG_VALUE.
    """

    def wrong(path: KeyPath, what: str, hint: str) -> ConfigError:
        return ConfigError("CONFIG_WRONG_VALUE", f"{locator.where(path)}: {what}", hint=hint)

    plc = config.plc
    if plc is not None and (spoken := getattr(devices[plc.device], "mode", plc.mode)) != plc.mode:
        what = f"[plc] has mode = {plc.mode!r}, but device {plc.device!r} speaks {spoken!r}"
        raise wrong(("plc", "mode"), what, f"write the same mode in [plc] and in [devices.{plc.device}.options]")
    if config.stop.m > config.stop.k:
        what = f"m = {config.stop.m} rejects are never among the last k = {config.stop.k}"
        raise wrong(("stop", "m"), what, "make k at least m")
    for name, recipe in config.recipes.items():
        left, top, right, bottom = recipe.region_px or (0, 0, 1, 1)
        if not (0 <= left < right and 0 <= top < bottom):
            what = f"region_px = {list(recipe.region_px or ())} is empty"
            raise wrong(("recipes", name, "region_px"), what, "write left, top, right, bottom")
    for name, options in policies.items():
        path: KeyPath = ("policy",)
        owner = config.sensors.get(name) or config.recipes.get(name)
        if owner is not None and owner.policy is not None:
            path = ("sensors" if name in config.sensors else "recipes", name, "policy")
        # A part that several cameras look at has so many frames of each.
        views = 1 + len(plc.views if plc else ())
        _check_policy(options, path, tuple(config.zones), views, wrong)


def _check_policy(options: Any, path: KeyPath, zones: tuple[str, ...], views: int, wrong: Any) -> None:
    if getattr(options, "vote_k", 1) > (n := views * getattr(options, "vote_n", 32)):
        raise wrong((*path, "vote_k"), f"{options.vote_k} of {n} frames never fail", "make vote_n at least vote_k")
    for name, limits in getattr(options, "values", {}).items():
        low, high = getattr(limits, "low", None), getattr(limits, "high", None)
        if low is None and high is None:
            raise wrong((*path, "values", name), f"the rule for {name!r} has no limit", "write low or high")
        if low is not None and high is not None and low > high:
            raise wrong(
                (*path, "values", name, "low"), f"nothing is above {low} and below {high}", "make high at least low"
            )
    rules: dict[KeyPath, Any] = {("labels", label): rule for label, rule in getattr(options, "labels", {}).items()}
    rules["other",] = getattr(options, "other", None)
    read = getattr(options, "read", None)
    if isinstance(read, dict):
        rules |= {("read", name): rule for name, rule in read.items()}
    for below, rule in rules.items():
        zone = getattr(rule, "zone", None)
        if zone is not None and zone not in zones:
            hint = f"known zones: {', '.join(zones)}" if zones else f"add {zone} = [[x, y], …] to a table [zones]"
            raise wrong((*path, *below, "zone"), f"there is no zone {zone!r}", hint)
        soonest, latest = getattr(rule, "min_days", None), getattr(rule, "max_days", None)
        if soonest is not None and latest is not None and soonest > latest:
            what = f"no date is at least min_days = {soonest} and at most max_days = {latest} ahead"
            raise wrong((*path, *below, "min_days"), what, f"write max_days = {soonest} or more")
        fewest, most = getattr(rule, "min_count", 0), getattr(rule, "max_count", 0)
        if fewest > most:
            what = f"no count is at least min_count = {fewest} and at most max_count = {most}"
            raise wrong((*path, *below, "min_count"), what, f"write max_count = {fewest} or more")
