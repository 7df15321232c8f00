"""asyncio without sagas: what every room above may need of it, and the standard library lacks.

``tasks`` and ``first_of`` run code beside other code, ``apart`` beside the event loop, ``backoff`` and ``reminders`` space out
tries and log lines, ``recent`` bounds caches, ``cancellation`` distinguishes cancellations.
"""
