"""Healthchecks pings from loguru markers, with the end of the log attached."""

__version__ = "0.1.0"
