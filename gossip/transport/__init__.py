"""Ways to carry packets and streams: sockets in production, memory in tests."""
