"""What an offer changes: learners of its effect, drawn towards what is known of a segment, promoted on policy value."""
