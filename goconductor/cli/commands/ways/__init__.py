"""The commands of other ways to write a saga."""
