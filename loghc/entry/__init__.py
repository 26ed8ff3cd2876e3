"""What outlives a process: its ring, and what is owed of its run. Another process reads it."""
