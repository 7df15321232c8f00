"""The commands of flows: their edits, and their executions."""
