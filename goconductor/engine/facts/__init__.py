"""What a process knows: the time, itself and its like, definitions, and what it last saw of sagas."""
