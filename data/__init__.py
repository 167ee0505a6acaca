"""What comes in: the contract of every table, where tables are read from, and the event logs made of them."""
