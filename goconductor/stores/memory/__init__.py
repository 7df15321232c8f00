"""The saga store in memory: a verified fake, which passes the same contract suite as PostgreSQL."""

from goconductor.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
