"""When a schedule fires. Pure: the time comes in as a number, and nothing is awaited."""
