"""Search for trouble: scenarios drawn at random under a seed, run in virtual time, and made small where one breaks a rule."""
