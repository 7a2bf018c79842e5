"""The bases: what a ratio is a ratio to. Each is the least code that honestly does the same work without our features.

They get what ours gets: the same event loop, the same batching, the same payloads, every reply verified. A base is run
as `python -m benchmarks.bases.NAME ROLE ...`, in processes of its own.
"""
