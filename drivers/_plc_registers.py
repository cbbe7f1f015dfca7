"""The PLC register map as pure functions: lists of 16-bit words in, named values out, and back.

The map itself is drawn in `drivers.plc_modbus`. Words are 0..65535 in the order of their addresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edge.errors import DeviceError

STATUS_REGISTERS = 10
MAX_U16 = 0xFFFF
MAX_RESULT_CODE = 3

WordOrder = Literal["high_first", "low_first"]


def decode_u32(words: Sequence[int], order: WordOrder) -> int:
    """Two registers to 0..2**32-1."""
    high, low = (words[0], words[1]) if order == "high_first" else (words[1], words[0])
    return (high << 16) | low


def encode_u32(value: int, order: WordOrder) -> tuple[int, int]:
    """0..2**32-1 to two registers; larger values wrap as the PLC's counters do."""
    high, low = (value >> 16) & MAX_U16, value & MAX_U16
    return (high, low) if order == "high_first" else (low, high)


def decode_status(registers: Sequence[int], order: WordOrder = "high_first") -> dict[str, float | int | bool | str]:
    """The ten status registers (see the module's drawing) to named values.

    Raises DeviceError (PLC_MALFORMED) on a wrong length, and on a `ready` that is neither 0 nor 1: then the address map
    is not the one we think it is, and nothing in it may be believed.
    """
    if len(registers) != STATUS_REGISTERS:
        raise DeviceError(
            "PLC_MALFORMED",
            f"the PLC answered {len(registers)} status registers instead of {STATUS_REGISTERS}",
            hint="compare status_register with the PLC's register map",
        )
    if registers[5] not in {0, 1}:
        raise DeviceError(
            "PLC_MALFORMED",
            f"register 'ready' holds {registers[5]}, expected 0 or 1",
            hint="compare status_register and word_order with the PLC's register map",
        )
    return {
        "part_no": registers[0],
        "encoder_latched": decode_u32(registers[1:3], order),
        "encoder": decode_u32(registers[3:5], order),
        "ready": registers[5] == 1,
        "result_ack": registers[6],
        "heartbeat_plc": registers[7],
        "recipe": registers[8],
        "ack_code": registers[9],
    }


def encode_result(part_no: int | None, code: int) -> list[int]:
    """``[result_part_no, result_code]``. Raises ValueError outside u16 and 0..3."""
    if part_no is None or not 0 <= part_no <= MAX_U16:
        raise ValueError(f"part_no {part_no} is not in 0..{MAX_U16}")
    if not 0 <= code <= MAX_RESULT_CODE:
        raise ValueError(f"result code {code} is not in 0..{MAX_RESULT_CODE}")
    return [part_no, code]
