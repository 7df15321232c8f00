"""What people ask of schedules."""
