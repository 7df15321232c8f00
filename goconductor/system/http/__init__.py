"""``system.http``: what it takes, the step itself, and the exchange with the other side."""
