"""Sagas by data: builders say what they consume and produce, and the order of the steps is inferred."""
