"""A service's steps: their code, how it is called, and their context."""
