"""Drivers: one file a device family. They know ports, values and errors of the house, and one another not at all."""
