"""A simulated line and its devices, which speak real protocols, so that everything runs without hardware."""
