"""What the coordinator knows of one agent: who is there, what it reported, and what differs from what is wanted."""

from __future__ import annotations

from edge.errors import CODE_PATTERN
from edge.events_fleet import AgentKnown, AgentView, Difference, FleetEffect, Say, SettingsStatus
from edge.messages import Desired, Metrics, Reported, State


def supersedes(new: State, old: State | None) -> bool:
    """True if ``new`` is not older than ``old``: ``(boot_no, conn_no)`` in order within one log.

    Logs have no order. Another log is a journal made anew (or an agent with the same id): only a living one replaces
    what is known; the late will of a journal that is gone does not.
    """
    if old is None:
        return True
    if new.log == old.log:
        return (new.boot_no, new.conn_no) >= (old.boot_no, old.conn_no)
    return new.status == "online"


class Member:
    """One agent of the fleet."""

    def __init__(self, known: AgentKnown | None = None) -> None:
        known = known or AgentKnown()
        self.state = known.state
        self.reported = known.reported
        self.metrics: Metrics | None = None
        self.since_utc_ms = known.since_utc_ms
        self.seen_utc_ms = known.seen_utc_ms
        self.confirmed = False
        """Something was heard of it since our own connection stands."""

    @property
    def online(self) -> bool:
        return self.confirmed and self.state is not None and self.state.status == "online"

    def hear(self, *, retained: bool, utc_ms: int) -> None:
        """Some message of this agent came. A retained one is old and says nothing about now."""
        if not retained:
            self.confirmed = True
            self.seen_utc_ms = utc_ms

    def take_state(self, state: State, *, retained: bool, utc_ms: int) -> bool:
        """False if it is older than what is known, and ignored."""
        if not supersedes(state, self.state):
            return False
        old = self.state
        if old is None or (old.status, old.log, old.boot_no) != (state.status, state.log, state.boot_no):
            self.since_utc_ms = state.utc_ms if retained else utc_ms
        self.state = state
        self.confirmed = True
        return True

    def known(self) -> AgentKnown:
        """What survives a restart of the coordinator."""
        return AgentKnown(self.state, self.reported, self.since_utc_ms, self.seen_utc_ms)


def settings_status(desired: Desired | None, reported: Reported | None) -> SettingsStatus:
    """Whether what is wanted runs, was refused, or has not been answered yet."""
    if desired is None:
        return "none"
    if reported is None or (reported.ledger, reported.rev) != (desired.ledger, desired.rev):
        return "waiting"
    return "applied" if reported.ok else "refused"


def differences(desired: Desired | None, reported: Reported | None) -> tuple[Difference, ...]:
    """Every wanted setting that is not the one in force, by name."""
    if desired is None:
        return ()
    has = reported.settings if reported else {}
    pairs = sorted(desired.settings.items())
    return tuple(Difference(name, wanted, has.get(name)) for name, wanted in pairs if has.get(name) != wanted)


def refusal(agent: str, reported: Reported) -> list[FleetEffect]:
    """One line for the log where an agent refused what was wanted."""
    if reported.ok:
        return []
    code = reported.code if CODE_PATTERN.fullmatch(reported.code) else "SETTINGS_REFUSED"
    return [Say("warning", code, f"{agent} refused revision {reported.rev}: {reported.what[:500]}")]


def view(agent: str, member: Member, desired: Desired | None) -> AgentView:
    """One agent as people see it."""
    state = member.state or State("offline", "", 0, 0)
    reported, metrics = member.reported, member.metrics
    unsure = not member.confirmed and state.status == "online"
    return AgentView(
        agent=agent,
        status="unknown" if unsure or member.state is None else state.status,
        since_utc_ms=member.since_utc_ms,
        seen_utc_ms=member.seen_utc_ms,
        ready=state.ready and member.online,
        why_not=state.why_not,
        paused=state.paused,
        recipe=state.recipe,
        log=state.log,
        boot_no=state.boot_no,
        conn_no=state.conn_no,
        versions=state.versions,
        devices=state.devices,
        model=state.model,
        capabilities=state.capabilities,
        counters=metrics.counters if metrics else {},
        gauges=metrics.gauges if metrics else {},
        metrics_utc_ms=metrics.utc_ms if metrics else 0,
        desired_rev=desired.rev if desired else 0,
        desired=desired.settings if desired else {},
        reported_rev=reported.rev if reported else 0,
        reported=reported.settings if reported else {},
        settings=settings_status(desired, reported),
        code=reported.code if reported else "",
        what=reported.what if reported else "",
        differs=differences(desired, reported),
    )
