"""Which offer goes to which member when money is short: prices of budgets, the rules that come first, and the pace."""
