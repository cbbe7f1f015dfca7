"""Traces: what entered an agent's core, when, and what came out of it; see ``docs/guide/replay.md``.

::

    core ──(t_ns, what, effects)──▶ TraceSink ─▶ clean ─▶ codec ─▶ frames ─▶ file     shell.record, or a simulator
    file ─▶ frames ─▶ codec ─▶ (t_ns, what, effects) ─▶ today's core                  sims.replay

``head`` is how a trace begins: everything the core was made from. ``clean`` keeps secrets out of it, ``anonymous`` names.
Pixels never enter a core, so a trace has none. Pure: whoever uses it brings file, clock and randomness.
"""
