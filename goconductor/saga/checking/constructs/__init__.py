"""What each construct of the language asks of a definition."""
