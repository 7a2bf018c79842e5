"""Sequences of characters, by a library that an extra installs: `pip install 'crdtmesh[text]'`.

What is replicated, and when a text begins and ends, is decided by `crdtmesh.crdts.text`; here is only what a library
does with the updates of one text. `crdts.text` imports it when a text is first changed or read.
"""
