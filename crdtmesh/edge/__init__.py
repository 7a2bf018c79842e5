"""The local endpoint: gRPC on TCP and on a Unix socket."""
