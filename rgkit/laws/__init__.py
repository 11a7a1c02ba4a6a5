"""What is left: the law of the features."""
