"""The guard: a small process that waits for the end of another, and tells what is owed."""
