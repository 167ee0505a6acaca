"""Audiences (人群): a filter over features and purchases, its members as of a moment, and what they are like."""
