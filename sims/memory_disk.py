"""The in-memory twin of :class:`edge.shell.disk.FolderDisk`, with power that can fail. It passes the same contract tests."""

from __future__ import annotations

import random

from edge.errors import StoreError


class MemoryDisk:
    """Twin of the disk below a folder. ``capacity_bytes`` makes it fill up; ``lose_power`` drops what was not synced.

    Of appended bytes that were not synced, a random front part survives a power cut, as on a real disk; ``rng`` says
    which. What was written durably survives whole.
    """

    def __init__(self, rng: random.Random, capacity_bytes: int | None = None) -> None:
        self._rng = rng
        self._capacity_bytes = capacity_bytes
        self._files: dict[str, bytes] = {}
        self._synced: dict[str, int] = {}

    def read(self, name: str) -> bytes | None:
        return self._files.get(self._checked(name))

    def write_durably(self, name: str, data: bytes) -> None:
        # The old file is there until the rename, so both must fit for a moment.
        self._take(self._checked(name), len(data))
        self._files[name] = data
        self._synced[name] = len(data)

    def append(self, name: str, data: bytes) -> None:
        self._take(self._checked(name), len(data))
        self._files[name] = self._files.get(name, b"") + data

    def sync(self, name: str) -> None:
        if self._checked(name) not in self._files:
            raise StoreError("DISK_WRITE_FAILED", f"cannot sync {name}", "there is no such file")
        self._synced[name] = len(self._files[name])

    def remove(self, name: str) -> None:
        self._files.pop(self._checked(name), None)
        self._synced.pop(name, None)

    def names(self) -> list[str]:
        return sorted(self._files)

    def lose_power(self) -> None:
        """What is there when the machine comes up again."""
        for name in list(self._files):
            synced = self._synced.get(name)
            kept = (synced or 0) + self._rng.randint(0, len(self._files[name]) - (synced or 0))
            if synced is None and kept == 0:
                del self._files[name]
            else:
                self._files[name] = self._files[name][:kept]
                self._synced[name] = kept

    def _take(self, name: str, more_bytes: int) -> None:
        held = sum(map(len, self._files.values()))
        if self._capacity_bytes is not None and held + more_bytes > self._capacity_bytes:
            raise StoreError("DISK_FULL", f"cannot write {name}", "no space left on the simulated disk")

    @staticmethod
    def _checked(name: str) -> str:
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise StoreError("DISK_BAD_NAME", f"not a file name: {name!r}")
        return name
