"""Flows: sagas whose steps are added, replaced and removed one by one, at run time, by the services that have them."""
