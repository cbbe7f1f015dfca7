"""Figures of merit as pure functions on arrays: no model, no file, no picture. Each names the source of its rule."""
