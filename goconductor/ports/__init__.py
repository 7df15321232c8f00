"""What goconductor needs from the world: small protocols, each with its numbered duties.

A leaf (a bus, a store, an election, a journal) implements one of them and passes the contract suite of the same name in
:mod:`goconductor.testing.contracts`, whose tests carry the numbers of the duties. Values that cross a port are plain data.
"""
