"""What is learned: a task a file, and the steps that all tasks share."""
