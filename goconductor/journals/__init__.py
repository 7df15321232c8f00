"""Effect journals: leaves of :mod:`goconductor.ports.journal`, one per database library.

The rules of the two keys are in :mod:`.keys`, the statements for PostgreSQL in :mod:`.table`.
"""
