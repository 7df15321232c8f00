"""The commands about sagas."""
