"""Sagas as doors show them, definitions and dead letters in SQL."""
