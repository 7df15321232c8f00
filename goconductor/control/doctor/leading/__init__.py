"""What the leader does beside its sweep: whether it is done in time."""
