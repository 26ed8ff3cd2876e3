"""Keeps the log, and prepares it for sending."""
