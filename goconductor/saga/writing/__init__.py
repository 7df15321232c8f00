"""Sagas written in Python."""
