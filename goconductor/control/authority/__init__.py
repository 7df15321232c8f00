"""Who may do what: roles and permissions, API keys, and who is behind a request."""
