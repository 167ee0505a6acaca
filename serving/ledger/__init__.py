"""What the service promised, kept: every entry in one order, sealed, chained, found again, replayed, and forgotten."""
