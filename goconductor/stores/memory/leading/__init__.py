"""Instances, choices and terms in memory, and what the leader asks for."""
