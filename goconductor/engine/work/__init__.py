"""A piece of granted work: its lease, and its place, thread and time in this process."""
