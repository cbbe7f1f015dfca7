"""A way of running a model: which runtime, how many threads where, how much of the graph is rewritten.

What is measured by ``jidoka model bench`` is what is used afterwards, so both are made from this one value.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

CPU = "CPUExecutionProvider"
MAX_THREADS = 64

Threads = Annotated[int, Meta(ge=1, le=MAX_THREADS)]
Engine = Literal["onnxruntime", "openvino"]
Optimisation = Literal["none", "basic", "extended", "all"]


class Way(Struct, frozen=True, kw_only=True):
    """``workers`` threads of ours on one shared session, each with ``intra`` threads of the runtime's own inside.

    ``spinning``: these wait for work by turning in a loop, which costs a core while no frame comes. ``optimisation``
    is the level of ONNX Runtime's graph rewriting. ``provider`` is ONNX Runtime's execution provider.
    The defaults are the safe ones: one thread, nothing burnt while waiting.
    """

    engine: Engine = "onnxruntime"
    provider: str = CPU
    workers: Threads = 1
    intra: Threads = 1
    spinning: bool = False
    optimisation: Optimisation = "all"

    @property
    def name(self) -> str:
        """``2 workers``, ``1 worker, 2 threads inside, spinning``: what differs from the usual, for a table."""
        parts = [f"{self.workers} worker{'s' if self.workers > 1 else ''}"]
        if self.intra > 1:
            parts.append(f"{self.intra} threads inside")
        if self.spinning:
            parts.append("spinning")
        if self.optimisation != "all":
            parts.append(f"optimisation {self.optimisation}")
        return ", ".join(parts)

    @property
    def runtime(self) -> str:
        """``onnxruntime``, ``openvino``, or the provider where it is not the usual one."""
        return self.engine if self.provider == CPU else self.provider.removesuffix("ExecutionProvider").lower()
