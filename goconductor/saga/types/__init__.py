"""Users' types: whether their values go into JSON and come out of it, their fields, and what is at a place of theirs."""
