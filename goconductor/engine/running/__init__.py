"""Running a step's code, plain or in its journal, and making an event of what comes of it."""
