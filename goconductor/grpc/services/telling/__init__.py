"""What is told to the outside: events as they happen, and webhooks."""
