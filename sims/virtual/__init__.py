"""The plant under a virtual clock: real cores, an in-memory broker and network, and time that is a number."""
