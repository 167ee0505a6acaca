"""Side-by-side measurements: each module prints one JSON object, last."""
