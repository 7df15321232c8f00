"""Servers of one's own, for tests, benchmarks and the demo: foreground children on free loopback ports, gone with their process.

``fixtures/`` gives them to the tests. Users have what is in :mod:`goconductor.testing`, and brokers in containers.
"""
