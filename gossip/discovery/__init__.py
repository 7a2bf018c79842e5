"""Ways to find nodes: they yield candidates, never trust."""
