"""Whether a run is what its data and its record say: it is made again beside the first, and both are compared."""
