"""The agent's side of the line: triggers from the PLC, verdicts to it, the heartbeat, and the agent-timed gate.

Four ways, by ``plc.mode`` and ``plc.gate``::

    handshake, gate "plc"     verdict written before the decision point; the PLC shifts parts and fires (default)
    handshake, gate "agent"   parts are tracked by encoder here; the reject coil is pulsed when the part is there
    coil, gate "plc"          trigger bit in, reject coil out at once; distance is the hardware's business
    coil, gate "agent"        trigger bit in, reject coil out after ``gate_counts`` of the encoder
"""

from __future__ import annotations

from edge.core.handover import Handover
from edge.core.inspection import Part, Parts
from edge.core.scribe import Scribe
from edge.core.settings import MS, PlcSettings, Settings
from edge.core.tracking import U16, U32, Encoder, GateLine, PartCounter, ahead
from edge.domain import RESULT_CODES, Action, Applied, Command, Reading, Verdict
from edge.events import AgentEffect, Apply, Beat, Log, UseRecipe

LATE_AT_PLC = 2
GATE_GRACE_NS = 40 * MS
"""A gate pulse that comes later than this after its part would hit the next one."""
STOP_GRACE_NS = 2_000 * MS


class Line:
    """One PLC's worth of state."""

    def __init__(self, settings: Settings, scribe: Scribe) -> None:
        assert settings.plc is not None
        self._plc: PlcSettings = settings.plc
        self._scribe = scribe
        self._counter = PartCounter()
        self._encoder = Encoder()
        self._gate = GateLine(self._plc.gate_counts, self._plc.gate_lead_ns)
        self._trigger_was = True
        self._handover = Handover()
        self._command_id = 0
        self._beat_no = 0
        self._beat_due_ns = 0
        self._device_up = False
        self._written: dict[int, int] = {}
        self._acked: int | None = None
        self._newest = 0
        self.recipe = settings.recipe

    def polled(self, settings: Settings, parts: Parts, reading: Reading, now_ns: int) -> list[AgentEffect]:
        """Fresh values of our PLC."""
        values = reading.values
        encoder = _int(values.get("encoder"))
        if "encoder" in values:
            self._encoder.see(encoder, reading.at_ns)
        effects = self._recipe(settings, values.get("recipe"))
        if self._plc.mode == "coil":
            trigger, was = bool(values.get("trigger")), self._trigger_was
            self._trigger_was = trigger
            if trigger and not was:
                effects += self._enter(settings, parts, None, encoder, reading.at_ns)
            return effects
        part_no, latched = _int(values.get("part_no")), _int(values.get("encoder_latched"))
        ack = _int(values.get("result_ack"))
        travelled = ahead(encoder, latched, U32)
        seen = self._counter.see(part_no, ack, travelled, self._plc.stale_counts)
        effects += self._acknowledged(ack, _int(values.get("ack_code")), now_ns)
        effects += self._handover.acknowledged(ack, now_ns)
        if seen.restarted:
            self._gate.clear()
            effects.append(self._scribe.event(now_ns, "PLC_RESTARTED", "warning", "its part counter started over"))
        if seen.missed or seen.stale:
            numbers = [(part_no - back) % U16 for back in range(seen.missed, 0, -1)]
            numbers += [part_no] if seen.stale else []
            effects += parts.missed(settings, numbers, now_ns)
        if seen.part_no is not None:
            effects += self._enter(settings, parts, seen.part_no, latched, reading.at_ns)
        return effects

    def act(self, part: Part, verdict: Verdict, now_ns: int) -> list[AgentEffect]:
        """Commands that follow from a verdict; none for a part that has none and a PLC that holds the rule."""
        plc = self._plc
        decision = verdict.decision
        rule = {"unsure": plc.unsure, "none": plc.no_verdict, "fail": "reject", "pass": "pass"}[decision]
        stop = [self._command("stop", now_ns + STOP_GRACE_NS)] if rule == "stop" and not self._plc_holds() else []
        if plc.gate == "agent" and part.encoder is not None:
            self._gate.decide(part.part_id, reject=rule == "reject")
        if plc.mode == "handshake":
            if decision == "none" or part.part_no is None:
                return [*stop]
            self._written[part.part_no] = part.triggered_ns
            code = RESULT_CODES[decision]
            verdict_command = self._command("verdict", part.deadline_ns, part_no=part.part_no, code=code)
            return [*self._handover.give(verdict_command.command, now_ns), *stop]
        if plc.gate == "plc" and rule == "reject":
            if part.part_id < self._newest:
                return [self._too_late_for_coil(part, now_ns)]
            return [self._command("reject", part.deadline_ns, pulse_ms=plc.pulse_ms)]
        return [*stop]

    def stop(self, now_ns: int) -> list[AgentEffect]:
        """Stop the line."""
        return [self._command("stop", now_ns + STOP_GRACE_NS)]

    def release(self, now_ns: int) -> list[AgentEffect]:
        """Let the line run again."""
        return [self._command("release", now_ns + STOP_GRACE_NS)]

    def applied(self, applied: Applied, now_ns: int) -> list[AgentEffect]:
        """What became of a command."""
        if applied.ok:
            self._scribe.count("applied")
            return []
        self._scribe.count("not_applied")
        text = f"a command was not carried out: {applied.what or applied.code}"
        return [self._scribe.event(now_ns, applied.code or "CMD_FAILED", "warning", text, device=applied.device)]

    def device(self, *, up: bool) -> None:
        """The PLC came or went."""
        self._device_up = up
        self._trigger_was = True
        self._beat_due_ns = 0
        self._handover.clear()

    def tick(self, now_ns: int, *, ready: bool) -> list[AgentEffect]:
        """Heartbeat and gate."""
        effects: list[AgentEffect] = [*self._handover.tick(now_ns)]
        for part_id, reject in self._gate.pop_due(self._encoder, now_ns):
            if reject is None and self._plc.no_verdict == "stop":
                effects.append(self._command("stop", now_ns + STOP_GRACE_NS))
            elif reject or (reject is None and self._plc.no_verdict == "reject"):
                deadline = now_ns + self._plc.gate_lead_ns + GATE_GRACE_NS
                effects.append(self._command("reject", deadline, pulse_ms=self._plc.pulse_ms))
            if reject is None:
                self._scribe.count("no_verdict_at_gate")
                effects.append(Log("warning", "NO_VERDICT_AT_GATE", f"part {part_id} came to the gate undecided"))
        if self._device_up and now_ns >= self._beat_due_ns:
            self._beat_due_ns = now_ns + self._plc.heartbeat_ns
            self._beat_no = (self._beat_no + 1) % U16
            effects.append(Beat(self._plc.device, self._beat_no, ready))
        return effects

    def deadline_ns(self) -> int | None:
        beat_ns = self._beat_due_ns if self._device_up else None
        due = [self._gate.due_ns(self._encoder), beat_ns, self._handover.deadline_ns()]
        return min((at for at in due if at is not None), default=None)

    def _enter(
        self, settings: Settings, parts: Parts, part_no: int | None, encoder: int, at_ns: int
    ) -> list[AgentEffect]:
        part = parts.begin(settings, part_no, encoder, at_ns, self.recipe)
        self._newest = part.part_id
        if self._plc.gate == "agent":
            self._gate.enter(part.part_id, encoder)
        return [*parts.captures(part)]

    def _recipe(self, settings: Settings, part_type: object) -> list[AgentEffect]:
        name = settings.recipe
        for recipe, known in settings.recipes.items():
            if known.part_type is not None and known.part_type == part_type:
                name = recipe
        if name == self.recipe:
            return []
        self.recipe = name
        return [UseRecipe(name), Log("info", "RECIPE", f"recipe {name}")]

    def _acknowledged(self, ack: int, code: int, now_ns: int) -> list[AgentEffect]:
        before, self._acked = self._acked, ack
        if before == ack or ack not in self._written:
            return []
        triggered_ns = self._written.pop(ack)
        while len(self._written) > 1000:  # noqa: PLR2004 - never acknowledged ones, bounded
            self._written.pop(next(iter(self._written)))
        if code != LATE_AT_PLC:
            self._scribe.count("acked_by_plc")
            return []
        self._scribe.count("late_at_plc")
        late_ms = (now_ns - triggered_ns) // MS
        text = f"the verdict of part {ack} came after its decision point"
        return [self._scribe.event(now_ns, "VERDICT_LATE", "alarm", text, part_no=ack, after_ms=late_ms)]

    def _too_late_for_coil(self, part: Part, now_ns: int) -> AgentEffect:
        """A pulse is for the part that triggered last: now it would reject the next one, and this one all the same not."""
        self._scribe.count("late_for_coil")
        after_ms = (now_ns - part.triggered_ns) // MS
        text = f"part {part.part_id} should be rejected, and the next one had triggered: the coil was left alone"
        return self._scribe.event(now_ns, "VERDICT_LATE", "alarm", text, after_ms=after_ms)

    def _plc_holds(self) -> bool:
        return self._plc.mode == "handshake" and self._plc.gate == "plc"

    def _command(
        self, action: Action, deadline_ns: int, part_no: int | None = None, code: int = 0, pulse_ms: int = 0
    ) -> Apply:
        self._command_id += 1
        command = Command(self._command_id, self._plc.device, action, deadline_ns, part_no, code, pulse_ms)
        return Apply(command)


def _int(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
