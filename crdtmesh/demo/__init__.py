"""The demo: three real nodes, real clients, one node killed and restarted, then a comparison of what all hold."""
