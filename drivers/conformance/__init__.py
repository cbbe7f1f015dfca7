"""Contract checks for drivers, as plain functions: run for every driver the registry knows, ours and third parties'."""
