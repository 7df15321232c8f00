"""Leaves of :mod:`goconductor.ports.keyring`: where wrapping keys come from."""
