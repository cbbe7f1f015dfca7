"""The plant's bad days: scenarios with promises, run all at once, told on one page."""
