"""Small durable values: kept, counted up, and whole after a torn write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.errors import StoreError
from edge.shell.journal_kv import MAX_VALUE_BYTES, KeyValues

LOG = "0123456789abcdef"


def test_a_value_that_could_not_be_kept_changes_nothing(tmp_path: Path) -> None:
    values = KeyValues(tmp_path, LOG, lambda: None)
    values.put("a", b"1")
    with pytest.raises(StoreError) as caught:
        values.put("a", bytes(MAX_VALUE_BYTES + 1))
    assert caught.value.code == "JOURNAL_VALUE_TOO_LARGE"
    assert values.get("a") == b"1"
    values.close()


def test_values_survive_and_their_file_stays_small(tmp_path: Path) -> None:
    values = KeyValues(tmp_path, LOG, lambda: None)
    for n in range(200):
        values.put("desired", bytes([n]) * 10_000)
        values.bump("conn_no")
    values.close()
    values.close()
    assert (tmp_path / "kv.seg").stat().st_size < 400_000
    again = KeyValues(tmp_path, LOG, lambda: None)
    assert again.get("desired") == bytes([199]) * 10_000
    assert again.bump("conn_no") == 201
    again.close()
    with pytest.raises(StoreError) as caught:
        again.put("a", b"")
    assert caught.value.code == "JOURNAL_CLOSED"


def test_a_torn_value_is_the_one_before(tmp_path: Path) -> None:
    values = KeyValues(tmp_path, LOG, lambda: None)
    values.put("a", b"one")
    values.put("a", b"two")
    values.close()
    path = tmp_path / "kv.seg"
    os.truncate(path, path.stat().st_size - 1)
    again = KeyValues(tmp_path, LOG, lambda: None)
    assert again.get("a") == b"one"
    again.put("a", b"three")
    again.close()
    last = KeyValues(tmp_path, LOG, lambda: None)
    assert last.get("a") == b"three"
    last.close()
