"""What is decided: the model bundle, score to action, and the HTTP surface."""
