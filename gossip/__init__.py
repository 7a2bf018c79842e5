"""SWIM membership that speaks the memberlist wire protocol; usable without crdtmesh."""
