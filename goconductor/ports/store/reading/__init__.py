"""What is looked up: sagas as doors show them, definitions, dead letters."""
