"""Sites as people look at them: the card of one, the picture of a city, and the plan of several."""
