"""What is refused of a definition, before a saga of it can start."""
