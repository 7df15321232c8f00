"""Settings: their sections, where their values come from, and what each of them does."""
