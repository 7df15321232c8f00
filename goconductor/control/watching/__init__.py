"""Who follows a saga while it goes on: its events as they come."""
