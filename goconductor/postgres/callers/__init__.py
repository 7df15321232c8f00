"""A caller's own open transaction, of whichever library, as what writes into it needs of it.

Two drivers speak to the server, asyncpg and psycopg; SQLAlchemy and Django stand on one of them, and what they stand on is used.
Nothing is committed here and nothing rolled back but a savepoint of ours. SQLAlchemy and psycopg begin by themselves with the
first statement: then ours is the first. A connection that commits each statement by itself is refused.

A connection that blocks is used on a thread where an event loop is to go on. Its owner's thread waits meanwhile, so nobody else
uses it. What finds a connection by its own thread, Django's ``connection`` or a ``scoped_session``, was asked on that thread
before (:mod:`goconductor.blocking.transactions`).
"""
