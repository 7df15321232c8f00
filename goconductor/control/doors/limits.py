"""How much one request may ask for, whichever door it comes by."""

from __future__ import annotations

WAIT_SECONDS_MAX = 300.0
"""Longest wait for a saga's end, in seconds."""
PAGE_MAX = 500
"""Greatest number of sagas in a page of a list."""
HISTORY_MAX = 1000
"""Greatest number of events in a part of a history."""
LETTERS_MAX = 200
"""Greatest number of dead letters in a page."""
LOCKS_MAX = 500
"""Greatest number of rows in a page of locks."""
STARTS_MAX = 500
"""Greatest number of sagas that are started by one request."""
DEAD_SECONDS_MAX = 90 * 86_400
"""How far back processes that have died are shown, in seconds."""
DRAIN_SECONDS_MAX = 86_400
"""Longest time for which a bus that is left is still read, in seconds."""
SIGNAL_CHARACTERS_MAX = 100
"""Longest name of a signal."""
TOKEN_CHARACTERS_MAX = 400
"""Longest task token."""
TEXT_CHARACTERS_MAX = 255
"""Longest text among the parameters of a request."""
