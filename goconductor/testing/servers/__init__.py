"""Servers of one's own, for tests and demonstrations: foreground children on free loopback ports, gone with their process."""
