"""``system.grpc``: what it takes, and the step itself."""
