"""The log that is kept, and how it is made fit to send."""
