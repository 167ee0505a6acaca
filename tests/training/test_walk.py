"""The first journey on the real grocery data, and the five lines of the README."""
