"""How a step begins and how its compensation begins: a file for each kind of step.

A kind says with ``begin`` and ``compensate`` what its two sides do when their turn has come. All kinds share the rest: whose turn
it is, and what an outcome means (:mod:`goconductor.lifecycle.forward`, :mod:`goconductor.lifecycle.backward`).
"""
