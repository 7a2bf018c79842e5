"""Traces as pictures: what is on one (`picture`), and two ways to draw it (`svg`, `page`)."""
