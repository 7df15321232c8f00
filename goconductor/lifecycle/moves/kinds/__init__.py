"""How a step begins and how its compensation begins: a file for each kind of step.

The methods ``begin`` and ``compensate`` of a kind give the effects of its two sides when their turn has come. All kinds share the
rest: the order of steps, and the meaning of an outcome (:mod:`goconductor.lifecycle.moves.forward`,
    :mod:`goconductor.lifecycle.moves.backward`).
"""
