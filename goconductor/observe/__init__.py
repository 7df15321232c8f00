"""What operators see of the engine: logs, metrics, traces.

The engine knows none of them. It tells a :class:`goconductor.engine.probe.Probe` what it does, counts what happens in
``node.counts``, and says in a context variable which step runs. ``metrics`` and ``traces`` are probes; ``logs`` reads the
variable.
"""
