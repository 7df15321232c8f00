"""What leads an installation: the living instances, the choice of bus and election, terms, and what the leader asks for."""
