"""What a graph may be, as settings; :mod:`edge.models.graph.policy` holds a model against them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class GraphPolicy(Struct, frozen=True):
    """Limits. ``operators`` are allowed besides the built-in list: ``Op``, ``domain:Op`` or ``domain:*``. With
    ``max_trips`` 0 loops are not looked at: then only the trial's limits stop what never ends.
    """

    operators: tuple[str, ...] = ()
    max_nodes: Annotated[int, Meta(ge=1)] = 20_000
    max_if_depth: Annotated[int, Meta(ge=0)] = 4
    max_trips: Annotated[int, Meta(ge=0)] = 100_000
    max_elements: Annotated[int, Meta(ge=1)] = 2**27
