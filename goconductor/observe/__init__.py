"""What operators see of the engine: logs, metrics, traces.

The engine imports none of them. It calls a :class:`goconductor.engine.observer.Observer`, counts what happens in
``node.counts``, and names the running step in a context variable. ``metrics`` and ``traces`` are observers; ``logs`` reads
the variable.
"""
