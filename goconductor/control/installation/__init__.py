"""What people ask of an installation: its participants, leader and dead letters, its bus and its election."""
