"""Contract checks for drivers, as plain functions: for every driver the registry knows, ours and third parties'.

`shape` looks at a class, `wire` at a driver facing a device that misbehaves. Each check raises AssertionError with a
sentence about what the driver did and what it should have done. A driver's author supplies a `Bench`: the driver and
its device, simulated on loopback, with a switch for each fault. In a test::

    def test_time_outs():
        with MyBench() as bench:
            check_time_out_is_honoured(bench)
"""
