"""Training every member of a grid in one call."""
