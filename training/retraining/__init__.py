"""A model made again of new data, as one step that a scheduler may call as often as it likes."""
