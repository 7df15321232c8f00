"""Flows: sagas whose steps are added, replaced and taken out one by one, at run time, by whoever has them."""
