"""The database itself: reaching it, its tables and their revisions, the rights and the health of it."""
