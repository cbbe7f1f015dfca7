"""How a network behaves: delay, loss, speed. Three maps of known kinds, and room for others.

A map is of one direction; both directions of a link draw from it alike. Delays are given by quantiles and drawn by
straight lines between them: additions and multiplications only, so that every machine draws the same.

The figures of the maps are assumptions of the right order, not measurements: a geostationary satellite is 35,786 km
up, so that one way is at least 239 ms; 4G as seen from a vehicle; a plant's switched Ethernet.
"""

from __future__ import annotations

import random
from typing import Annotated, Final

from msgspec import Meta, Struct

MS: Final = 1_000_000
S: Final = 1_000_000_000
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Meta(ge=0.0)]

RTO_DOUBLINGS: Final = 8
"""After so many losses of one packet in a row TCP's wait grows no more here."""


class LinkMap(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of link. Times in ms, one way.

    ``delay_ms``: quantiles ``(share, ms)``, rising, from share 0 to 1; one pair is a constant delay.
    ``loss``: share of packets that TCP sends again ``rto_ms`` later (doubling), holding up all behind them.
    ``bytes_per_s``: 0 for no limit. ``breaks_per_hour``: how often a connection breaks by itself, on average.
    ``duplicate``: share of QoS 1 messages that are sent twice, the second with DUP, as a broker may (4.3.2).
    ``overtaken``: share of messages that messages on other topics may overtake, by up to ``overtake_ms``: brokers of
    several nodes do (4.6 orders only what has one topic); Mosquitto does not.
    """

    delay_ms: tuple[tuple[Share, NotNegative], ...] = ((0.0, 0.1),)
    loss: Annotated[float, Meta(ge=0.0, le=0.9)] = 0.0
    rto_ms: NotNegative = 200.0
    bytes_per_s: NotNegative = 0.0
    breaks_per_hour: NotNegative = 0.0
    duplicate: Share = 0.0
    overtaken: Share = 0.0
    overtake_ms: NotNegative = 50.0

    def __post_init__(self) -> None:
        """Raises ValueError where the quantiles do not rise from share 0 to 1."""
        shares = [share for share, _ in self.delay_ms]
        delays = [delay for _, delay in self.delay_ms]
        whole = len(shares) == 1 or (shares[:1] == [0.0] and shares[-1:] == [1.0])
        if not whole or shares != sorted(set(shares)) or delays != sorted(delays):
            raise ValueError("delay_ms needs rising pairs (share, ms) from share 0 to share 1")

    @property
    def is_plain(self) -> bool:
        """A constant delay and nothing else: no random number is ever drawn."""
        return len(self.delay_ms) == 1 and not (self.loss or self.bytes_per_s or self.duplicate or self.overtaken)

    def draw_ns(self, rng: random.Random) -> int:
        """One packet's delay, with what its losses add."""
        quantiles = self.delay_ms
        delay_ms = quantiles[0][1]
        if len(quantiles) > 1:
            at = rng.random()
            low = quantiles[0]
            for high in quantiles[1:]:
                if at < high[0]:
                    delay_ms = low[1] + (high[1] - low[1]) * ((at - low[0]) / (high[0] - low[0]))
                    break
                low = high
        if self.loss:
            wait_ms, times = self.rto_ms, 0
            while rng.random() < self.loss:
                delay_ms += wait_ms
                if times < RTO_DOUBLINGS:
                    wait_ms, times = wait_ms * 2, times + 1
        return int(delay_ms * MS)

    def life_ns(self, rng: random.Random) -> int | None:
        """How long one connection lives, even between nothing and twice the mean; None for ever."""
        if not self.breaks_per_hour:
            return None
        return int(rng.random() * 2.0 * 3600.0 / self.breaks_per_hour * S)


PERFECT: Final = LinkMap()
PLANT: Final = LinkMap(delay_ms=((0.0, 0.1), (0.5, 0.3), (0.9, 0.8), (0.99, 3.0), (1.0, 15.0)), loss=0.0001)
SATELLITE: Final = LinkMap(
    delay_ms=((0.0, 240.0), (0.5, 270.0), (0.9, 320.0), (0.99, 500.0), (1.0, 1200.0)),
    loss=0.005,
    rto_ms=1000.0,
    bytes_per_s=64_000.0,
    breaks_per_hour=0.5,
)
MOBILE: Final = LinkMap(
    delay_ms=((0.0, 15.0), (0.5, 30.0), (0.9, 70.0), (0.99, 250.0), (1.0, 1500.0)),
    loss=0.01,
    rto_ms=300.0,
    bytes_per_s=500_000.0,
    breaks_per_hour=6.0,
)
MAPS: Final = {"perfect": PERFECT, "plant": PLANT, "satellite": SATELLITE, "4g": MOBILE}
