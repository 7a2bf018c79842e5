"""Replication: what one node holds of every shard, and how nodes bring each other up to date."""
