"""Scans judged as they come: registers, events in, one order, models that change while they serve, the hot path."""
