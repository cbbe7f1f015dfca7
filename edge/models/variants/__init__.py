"""Other forms of a bundle's model that are faster somewhere (int8, fp16), each held against the original before it is kept."""
