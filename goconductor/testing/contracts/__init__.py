"""Contract suites: every leaf of a port passes the suite of that name, ours and a third party's alike.

A suite is a class with abstract methods; a leaf's test module subclasses it. The tests carry the numbers of the port's duties.
"""
