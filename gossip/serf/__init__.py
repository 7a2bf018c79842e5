"""The layer of Serf on top of SWIM: tags, intents, user events, queries, and queries about keys.

Only the tags are imported here: the member table needs them, and the rest of the layer needs the member table.
"""

from gossip.serf.tags import decode_tags, encode_tags

__all__ = ["decode_tags", "encode_tags"]
