"""What is known about an entity at a moment: declarations, and the engine that computes them."""
