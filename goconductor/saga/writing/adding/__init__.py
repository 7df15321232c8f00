"""Adding steps to a saga that is written in Python, and to what holds steps in it: all have the same calls."""
