"""Small applications. A wheel carries them as `crdtmesh.examples`."""
