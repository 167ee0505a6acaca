"""The simulated world: people, commerce, a city and the wool party, with the truth kept apart from the tables."""
