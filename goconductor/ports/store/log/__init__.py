"""The sagas' log: the head that arbitrates it, appends, starts, and the leases by which a step runs once at a time."""
