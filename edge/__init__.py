"""Jidoka: inspect parts beside the machine."""
