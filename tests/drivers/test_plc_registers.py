"""The PLC's register map as pure functions, against lists of words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._plc_registers import decode_status, decode_u32, encode_result, encode_u32
from edge.errors import DeviceError

CAPTURED = [7, 0x0001, 0x0002, 0x0003, 0x0004, 1, 6, 41, 2, 1]
CAPTURED_VALUES = {
    "part_no": 7,
    "encoder_latched": 0x0001_0002,
    "encoder": 0x0003_0004,
    "ready": True,
    "result_ack": 6,
    "heartbeat_plc": 41,
    "recipe": 2,
    "ack_code": 1,
}


def test_status_registers_become_named_values():
    assert decode_status(CAPTURED) == CAPTURED_VALUES


def test_low_word_first():
    assert decode_status(CAPTURED, "low_first")["encoder"] == 0x0004_0003


@given(st.integers(0, 2**32 - 1), st.sampled_from(["high_first", "low_first"]))
def test_u32_survives_the_registers(value, order):
    words = encode_u32(value, order)
    assert all(0 <= word <= 0xFFFF for word in words)
    assert decode_u32(words, order) == value


@given(st.lists(st.integers(0, 0xFFFF), max_size=12))
def test_any_words_give_values_or_a_device_error(words):
    if len(words) == 10 and words[5] <= 1:
        assert set(decode_status(words)) == set(CAPTURED_VALUES)
    else:
        with pytest.raises(DeviceError, match="PLC_MALFORMED"):
            decode_status(words)


@pytest.mark.parametrize(("part_no", "code"), [(None, 1), (-1, 1), (65536, 1), (1, 4), (1, -1)])
def test_a_result_outside_its_registers_is_not_encoded(part_no, code):
    with pytest.raises(ValueError, match="is not in 0"):
        encode_result(part_no, code)
