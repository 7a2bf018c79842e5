"""Benchmarks: each compares the production code with a minimal base in the same run; `python -m benchmarks list`."""
