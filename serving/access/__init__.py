"""Who may ask: keys with scopes, a rate for each, and the gate that stands before every route."""
