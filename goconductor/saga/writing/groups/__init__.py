"""Groups and switches: definitions as they are written with them, and the steps that they are compiled to."""
