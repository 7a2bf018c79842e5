"""Actors: where calls go, turns over replicated state, and what callers are told. A core, without I/O.

`runtime.Runtime` is the face; `definition`, `messages` and `errors` are its types. Within: `router` places calls and
minds the lives of activations (`activation`, `placement`, `hosts`, `directory`, `deadlines`), `turns` runs turns over
a view (`copies`, `turn`), `replies` holds replies behind commits, `routes` and `peer_codec` carry calls between nodes.
"""
