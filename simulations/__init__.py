"""A whole mesh in one thread and in virtual time: the production cores, seeded faults, recorded clients, checkers.

One seed decides everything: `python -m simulations run --seeds 7:7 --trace` repeats a run to the last byte.
"""
