"""Users' types: their values in and out of JSON, what cannot go there, their fields, and what is at a place of theirs."""
