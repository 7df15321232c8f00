"""What people ask of webhooks."""
