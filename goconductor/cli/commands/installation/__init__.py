"""The commands about all that runs sagas."""
