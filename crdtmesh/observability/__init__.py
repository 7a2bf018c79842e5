"""Logs and counters of a running node."""
