"""The paths of sagas."""
