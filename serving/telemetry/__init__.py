"""What the service shows of itself: metrics, logs, spans, and whether what it sees is still what it learned from."""
