"""Bounds of what a bus remembers."""

TOPICS_KNOWN_MAX = 10_000
"""Topics that are remembered. Each process has one for its replies, and a server answers many short-lived ones."""
