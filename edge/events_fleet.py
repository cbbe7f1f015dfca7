"""What can happen to the coordinator core, and what it wants done: the fleet half of the language."""
