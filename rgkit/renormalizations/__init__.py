"""Renormalization maps and flows, one derivation a file."""
