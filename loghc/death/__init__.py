"""How a process ended, and what that means: for the watcher, and for the guard."""
