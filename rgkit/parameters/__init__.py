"""Coordinates of what is left: characteristic (natural) parameters."""
