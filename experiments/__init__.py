"""Data, training, search, Ray and the command lines: what a researcher runs."""
