"""How the C library hands out large blocks, set for a process that runs for months.

glibc asks the system for blocks above a threshold and gives them back when they are freed; but each one that is freed
raises the threshold to its own size, up to 32 MiB. From the first picture on, pictures then come from the heaps that all
small things come from, in holes that small things later sit in the middle of: resident memory rose by a picture's size
now and then, 16 % in an hour. A threshold that is set stays where it is (mallopt(3), M_MMAP_THRESHOLD).
"""

from __future__ import annotations

import ctypes

LARGE_BYTES = 1024 * 1024
_M_MMAP_THRESHOLD = -3


def keep_large_blocks_apart() -> bool:
    """Blocks of ``LARGE_BYTES`` and more are the system's, each on its own pages. False where the C library has no
    such setting (musl, macOS): nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES))
