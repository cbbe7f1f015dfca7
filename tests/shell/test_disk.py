"""The real disk and its twin keep the same contract; and each its own promises."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import StoreError
from edge.ports import Disk
from edge.shell.disk import FolderDisk
from sims.memory_disk import MemoryDisk

MAKERS: dict[str, Callable[[Path], Disk]] = {
    "folder": lambda path: FolderDisk(path / "disk"),
    "memory": lambda _path: MemoryDisk(random.Random(1)),
}


@pytest.fixture(params=MAKERS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    return MAKERS[request.param](tmp_path)


def test_what_is_written_is_read_and_replaced(disk: Disk) -> None:
    assert disk.read("a") is None
    disk.write_durably("a", b"one")
    disk.write_durably("a", b"")
    assert disk.read("a") == b""
    disk.write_durably("a", b"three")
    assert disk.read("a") == b"three"


def test_append_adds_and_makes_the_file(disk: Disk) -> None:
    disk.append("log", b"ab")
    disk.append("log", b"cd")
    disk.sync("log")
    assert disk.read("log") == b"abcd"
    disk.write_durably("log", b"x")
    disk.append("log", b"y")
    assert disk.read("log") == b"xy"


def test_names_are_sorted_and_removed_ones_gone(disk: Disk) -> None:
    for name in ("b", "a", "c.bin"):
        disk.write_durably(name, b"")
    disk.remove("b")
    disk.remove("b")
    assert disk.names() == ["a", "c.bin"]


def test_syncing_what_is_not_there_is_an_error(disk: Disk) -> None:
    with pytest.raises(StoreError) as caught:
        disk.sync("absent")
    assert caught.value.code == "DISK_WRITE_FAILED"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a\0b"])
def test_only_plain_names_are_taken(disk: Disk, name: str) -> None:
    for act in (
        lambda: disk.read(name),
        lambda: disk.write_durably(name, b""),
        lambda: disk.append(name, b""),
        lambda: disk.sync(name),
        lambda: disk.remove(name),
    ):
        with pytest.raises(StoreError) as caught:
            act()
        assert caught.value.code == "DISK_BAD_NAME"


def test_a_folder_in_the_way_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(StoreError) as caught:
        disk.write_durably("a", b"x")
    assert caught.value.code == "DISK_WRITE_FAILED"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    with pytest.raises(StoreError) as caught:
        disk.read("a")
    assert caught.value.code == "DISK_READ_FAILED"


def test_left_overs_of_a_crash_are_cleared(tmp_path: Path) -> None:
    FolderDisk(tmp_path).write_durably("a", b"x")
    (tmp_path / ".tmp-a").write_bytes(b"half")
    assert FolderDisk(tmp_path).names() == ["a"]
    assert not (tmp_path / ".tmp-a").exists()


def test_a_full_simulated_disk_refuses_and_keeps_the_old() -> None:
    disk = MemoryDisk(random.Random(1), capacity_bytes=10)
    disk.write_durably("a", b"12345")
    with pytest.raises(StoreError) as caught:
        disk.write_durably("a", b"123456")
    assert caught.value.code == "DISK_FULL"
    assert disk.read("a") == b"12345"


@given(seed=st.integers(), writes=st.lists(st.tuples(st.sampled_from("aws"), st.binary(max_size=8)), max_size=20))
def test_power_takes_only_what_was_not_synced(seed: int, writes: list[tuple[str, bytes]]) -> None:
    disk = MemoryDisk(random.Random(seed))
    safe: bytes | None = None
    for how, data in writes:
        if how == "w":
            disk.write_durably("f", data)
        else:
            disk.append("f", data)
            if how == "s":
                disk.sync("f")
        safe = disk.read("f") if how != "a" else safe
    full = disk.read("f")
    disk.lose_power()
    after = disk.read("f")
    assert (full or b"").startswith(after or b"")
    assert safe is None or (after is not None and after.startswith(safe))
