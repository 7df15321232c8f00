"""Definitions as they are written, with groups and switches, and what they are compiled to."""
