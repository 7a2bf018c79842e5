"""Generated protobuf classes (`gen`) and the adapters between them and our own dataclasses.

Generated classes stop here: `edge` and `sdk` use them through this package; further in there are plain dataclasses.
"""
