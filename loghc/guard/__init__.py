"""The guard: a small process that waits for another to end, and sends what it owes."""
