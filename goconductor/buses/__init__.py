"""Buses: what carries messages between participants, each a leaf of the port in `goconductor.ports.bus`."""
