"""Instances, choices and terms in SQL, and what the leader asks for: sweeps, retention, metrics."""
