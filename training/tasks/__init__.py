"""One file a task; a file with `TASK = Task(...)` is all it takes."""
