"""How a model is run on this machine: the ways there are, what was measured, and what the agent takes of it."""
