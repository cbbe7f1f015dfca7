"""Large real-world data, where the machine has it; tests that need it skip with the reason where it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def shared(path: str) -> Path:
    root = Path(os.environ.get("JIDOKA_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    found = root / path
    if not found.exists():
        pytest.skip(f"no test data at {found}; set JIDOKA_TEST_DATA to the folder that holds {path}")
    return found
