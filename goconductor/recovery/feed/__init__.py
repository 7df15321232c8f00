"""All events, told to the outside in their order."""
