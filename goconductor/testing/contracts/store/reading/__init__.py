"""What doors read, in the suite: sagas, searches, keys, secrets."""
