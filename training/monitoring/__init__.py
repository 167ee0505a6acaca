"""Last week by the log: how what is served did, held against what it promised when it was tested."""
