"""A net without faults, for what is tested of the nodes alone: every message arrives, once, after ``delay_ns``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sims.virtual.kernel import MS, Kernel, Node
from sims.virtual.wire import Arrived, WireDown, WireUp


class PerfectNet:
    """Clean sessions, retained messages, wills."""

    def __init__(self, kernel: Kernel, delay_ns: int = MS) -> None:
        self.kernel = kernel
        self.delay_ns = delay_ns
        self._exact: dict[str, list[PerfectWire]] = {}
        self._any: list[tuple[list[str], PerfectWire]] = []
        self._retained: dict[str, bytes] = {}
        self._wires: dict[str, PerfectWire] = {}
        self._parted: dict[str, None] = {}
        self.is_down = False

    def wire(self, client_id: str, node: Node, keepalive_s: int) -> PerfectWire:
        del keepalive_s
        return PerfectWire(self, client_id, node)

    def stop_broker(self) -> None:
        """The broker goes, and forgets everything."""
        self.is_down = True
        self._retained.clear()
        for wire in list(self._wires.values()):
            self._drop(wire)
            self.kernel.post(self.kernel.now_ns, wire.node, WireDown(wire.wire_no, "LINK_LOST", "the broker went"))

    def start_broker(self) -> None:
        """It is back."""
        self.is_down = False

    def set_mode(self, names: Iterable[str], mode: str) -> None:
        """``cut`` these clients off from the broker at once, or mend that (``ok``)."""
        for name in names:
            self._parted.pop(name, None)
            if mode == "ok":
                continue
            self._parted[name] = None
            wire = self._wires.get(name)
            if wire is not None:
                self.end(wire, will=True)
                self.kernel.post(self.kernel.now_ns, wire.node, WireDown(wire.wire_no, "LINK_LOST", "cut off"))

    def refuses(self, client_id: str) -> bool:
        """Whether it cannot connect now."""
        return self.is_down or client_id in self._parted

    def accept(self, wire: PerfectWire) -> None:
        """A connection stands."""
        before = self._wires.get(wire.client_id)
        if before is not None:
            self.end(before, will=True)
        self._wires[wire.client_id] = wire
        for group in wire.filters:
            for text in group:
                if "+" in text:
                    self._any.append((text.split("/"), wire))
                else:
                    self._exact.setdefault(text, []).append(wire)
                self._tell_retained(wire, text)

    def _tell_retained(self, wire: PerfectWire, text: str) -> None:
        if "+" not in text:
            if text in self._retained:
                self._deliver(wire, text, self._retained[text], retained=True)
            return
        for topic, payload in sorted(self._retained.items()):
            if _matches(text.split("/"), topic.split("/")):
                self._deliver(wire, topic, payload, retained=True)

    def end(self, wire: PerfectWire, *, will: bool) -> None:
        """A connection is over."""
        if self._wires.get(wire.client_id) is wire:
            self._drop(wire)
            if will:
                self.spread(*wire.will, retain=True)

    def _drop(self, wire: PerfectWire) -> None:
        del self._wires[wire.client_id]
        wire.up = False
        self._any = [pair for pair in self._any if pair[1] is not wire]
        for group in wire.filters:
            for text in group:
                if "+" not in text:
                    self._exact[text].remove(wire)

    def spread(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """One message to everybody who wants it."""
        if retain:
            self._retained[topic] = payload
        for wire in self._exact.get(topic, ()):
            self._deliver(wire, topic, payload)
        levels = topic.split("/")
        for wanted, wire in self._any:
            if _matches(wanted, levels):
                self._deliver(wire, topic, payload)

    def _deliver(self, wire: PerfectWire, topic: str, payload: bytes, *, retained: bool = False) -> None:
        at_ns = self.kernel.now_ns + 2 * self.delay_ns
        self.kernel.post(at_ns, wire.node, Arrived(wire.wire_no, topic, payload, retained))


class PerfectWire:
    """One client."""

    def __init__(self, net: PerfectNet, client_id: str, node: Node) -> None:
        self.client_id = client_id
        self.node = node
        self.up = False
        self.wire_no = 0
        self.will = ("", b"")
        self.filters: Sequence[Sequence[str]] = ()
        self._net = net

    def connect(self, will: tuple[str, bytes], filters: Sequence[Sequence[str]]) -> int:
        net = self._net
        net.end(self, will=True)
        self.wire_no += 1
        at_ns = net.kernel.now_ns + 2 * net.delay_ns
        if net.refuses(self.client_id):
            net.kernel.post(at_ns, self.node, WireDown(self.wire_no, "LINK_REFUSED", "the broker is not there"))
            return self.wire_no
        self.will, self.filters, self.up = will, filters, True
        net.kernel.post(at_ns, self.node, WireUp(self.wire_no))
        net.accept(self)
        return self.wire_no

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None = None) -> bool:
        del qos, expiry_s
        if self.up:
            self._net.spread(topic, payload, retain=retain)
        return self.up

    def disconnect(self) -> None:
        self._net.end(self, will=False)

    def cut(self) -> None:
        self._net.end(self, will=True)

    def vanish(self) -> None:
        self._net.end(self, will=True)


def _matches(wanted: list[str], levels: list[str]) -> bool:
    return len(wanted) == len(levels) and all(w in {"+", has} for w, has in zip(wanted, levels, strict=True))
