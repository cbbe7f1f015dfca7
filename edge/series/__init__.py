"""Windows of sensor samples in, classes and values out: pure functions on arrays, as :mod:`edge.vision` is on pictures."""
