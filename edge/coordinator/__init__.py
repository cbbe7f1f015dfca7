"""The coordinator: ledger, HTTP API and the wiring of the process."""
