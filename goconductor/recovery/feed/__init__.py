"""Publishes all events in their order."""
