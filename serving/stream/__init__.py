"""The one order of several scorers: a Redis or Valkey stream that each of them reads in its whole."""
