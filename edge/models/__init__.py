"""A model as a thing: its bundle, what can be told from the bare file, whether it can be trusted, and running it."""
