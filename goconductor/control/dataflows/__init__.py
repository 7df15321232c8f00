"""Dataflows as people ask for them: data are given, what can run runs, and what is missing is said."""
