"""Bringing events into the saga log, many at a time, and acting after the commit."""
