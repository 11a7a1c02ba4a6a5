"""What data come from."""
