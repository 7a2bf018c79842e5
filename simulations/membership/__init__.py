"""Membership alone, at scale: many production `Swim` machines under one virtual clock, with the codec on the path."""
