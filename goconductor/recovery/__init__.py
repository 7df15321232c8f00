"""What the elected leader does: it repairs sagas that stand still, and does all else that only one process should do."""
