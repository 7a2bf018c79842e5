"""Durable storage behind one narrow protocol: a log of applied messages and a table of state rows."""
