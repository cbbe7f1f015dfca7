"""What can be told from a bare ``.onnx``: a manifest with reasons, and honest doubts.

Facts (what file, graph and trial say) go through a table of small rules, one a convention; habits of the field say how
pictures go in, unless the graph says it itself; a probe picture decides what neither can tell. Where no rule fits, the
numbers are given raw, and loading a bare file refuses: a wrong guess gives plausible nonsense, which is worse.
"""
