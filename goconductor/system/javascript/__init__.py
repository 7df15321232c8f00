"""``system.javascript``: the step, and the program in whose process a script runs."""
