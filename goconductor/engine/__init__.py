"""What one process does for sagas: it runs steps, decides, and keeps the log.

The rooms, from the floor up: ``facts`` has what a process knows of itself, the clock and definitions. ``steps`` has a service's
code. ``work`` is what was granted, with its lease, time and place. ``log`` brings events into the saga log and acts after the
commit. ``running`` runs the code. ``node`` puts all together.
"""
