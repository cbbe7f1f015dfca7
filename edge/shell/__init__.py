"""The only rooms with threads, sockets, files and clocks: short and dull carriers of what the cores decide."""
