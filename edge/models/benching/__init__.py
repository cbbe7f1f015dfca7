"""Measuring ways of running a model on this machine, each in a process of its own, and deciding between them."""
