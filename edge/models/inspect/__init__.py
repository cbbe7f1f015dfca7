"""What can be told from a bare ``.onnx``: a manifest with reasons, and honest doubts.

Facts (what file, graph and trial say) go through a table of small rules, one a convention; habits of the field say how
pictures go in, unless the graph says it itself; a probe picture decides what neither can tell. Where no rule fits, the
numbers are given raw, and loading a bare file refuses: a wrong guess gives plausible nonsense, which is worse.
"""

from __future__ import annotations

from edge.models.inspect.facts import Facts, gather
from edge.models.inspect.proposal import Proposal, propose
from edge.models.inspect.rules.ultralytics import metadata_size_px

__all__ = ["Facts", "Proposal", "gather", "metadata_size_px", "propose"]
