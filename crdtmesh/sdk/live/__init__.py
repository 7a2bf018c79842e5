"""Live objects: what `ctx.state` is for each replicated data type.

Each is a plain local copy that records the operations done to it. A new type needs one module here and one line in
`registry`; neither the host nor the wire knows any type by name.
"""
