"""Actors with one activation in virtual time: placement, take-over, calls for later and timers, and their checkers."""
