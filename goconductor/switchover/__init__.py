"""Changing the bus or the election of an installation while its sagas run.

A *choice* names the one that is used (:mod:`goconductor.ports.store.leading.choices` has its phases). Each process *follows* it
(``follower``), through a bus and an election that each stand for several (``bus``, ``election``). Operators move a change on by
:mod:`goconductor.control.installation.changes`. The engine knows nothing of all that.
"""
