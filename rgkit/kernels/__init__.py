"""What forgets: conditional laws of features given a configuration."""
