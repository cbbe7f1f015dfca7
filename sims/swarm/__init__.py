"""The swarm, live: many real agents in few processes, against a real broker and coordinator, to load an installation."""
