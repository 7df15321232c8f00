"""The audit log: what is noted of each request that changes something, and what people ask of it."""
