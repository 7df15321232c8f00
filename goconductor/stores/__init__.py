"""Stores: where sagas are kept, each a leaf of the port in `goconductor.ports.store`."""
