"""From a queued ping to its outcome."""
