"""How long to wait before trying again: doubling, jittered, bounded. The only retry rule in the house."""

from __future__ import annotations

from typing import Protocol


class Rng(Protocol):
    """A seeded generator, handed in: cores make no randomness of their own."""

    def random(self) -> float: ...


class Backoff:
    """Waits of ``first_s``, doubling up to ``most_s``, each drawn evenly from [half, whole].

    The jitter keeps two hundred cells from coming back in the same instant; its lower half keeps a lone cell prompt.
    """

    def __init__(self, first_s: float, most_s: float, rng: Rng) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._rng = rng
        self._whole_s = first_s

    def next_s(self) -> float:
        """Seconds to wait now; the next wait will be longer."""
        wait_s = self._whole_s * (0.5 + 0.5 * self._rng.random())
        self._whole_s = min(self._most_s, self._whole_s * 2.0)
        return wait_s

    def reset(self) -> None:
        """It worked: the next failure starts from the shortest wait again."""
        self._whole_s = self._first_s
