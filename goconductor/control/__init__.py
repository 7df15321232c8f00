"""What people and programs can ask for: one function for each request, which all doors call."""
