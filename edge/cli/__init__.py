"""The command line: one module a group of verbs, no logic."""
