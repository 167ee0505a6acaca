"""The report of a run: one page that says whether to ship, what is earned, what may go wrong, and on what it rests."""
