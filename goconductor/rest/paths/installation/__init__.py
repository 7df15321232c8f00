"""The paths of all that runs sagas: participants, buses, elections, health, metrics."""
