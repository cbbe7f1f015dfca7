"""Pure state machines: events and a time in, effects out. No clock, thread, file, socket or random module."""
