"""A service's steps: their code, how it is called, and what it is told."""
