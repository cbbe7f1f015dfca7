"""What a model gives, as arrays that can be sent and compared, whatever it is: series models give maps and texts, too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_array(output: Any) -> NDArray[np.generic]:
    """A copy. A list of maps (``seq(map(class, float))`` of ONNX-ML's ZipMap) is float64 ``(rows, classes)``, the classes
    in the order of their names; texts are numpy's own, which need no pickling.
    """
    if isinstance(output, list) and output and isinstance(output[0], dict):
        return np.array([[row[key] for key in sorted(row, key=str)] for row in output], np.float64)
    array = np.array(output)
    return array.astype(np.str_) if array.dtype == object else array
