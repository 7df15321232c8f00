"""What each event means: forward, backward, and on request; and how each kind of step begins."""
