"""Requests of operators: which there are, which of them a saga would accept now, and what two of them would do.

What a request means for a saga is decided in :mod:`goconductor.lifecycle.moves.requests`.
"""
