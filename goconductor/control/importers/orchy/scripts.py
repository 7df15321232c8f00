"""An action of ``javascript`` as a step ``system.javascript``.

A program of Orchy's reads data by ``$['10'].output.points`` and ``$.input.age``, and sets values of its own output by
``$['grade'] = …``. A step's script is the body of a function that has ``inputs`` and returns its output. So a program gets a
``$`` that is made of the inputs, and what is new in it when the program has ended is the output. It is given the input, and the
earlier actions whose numbers stand in its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

RUN = "system.javascript"
CODE = "code"
"""The input with the script; the others are called like what they hold: ``input``, or an action's number."""
INPUT = "input"
_NUMBER = re.compile(r"(?<![0-9A-Za-z_])\$?([0-9]{1,18})(?![0-9A-Za-z_])")


def numbers_in(program: str) -> list[int]:
    """Return the numbers in a program, any of which may be an action's."""
    return list(dict.fromkeys(int(found) for found in _NUMBER.findall(program)))


def script(program: str, actions: Sequence[int]) -> str:
    """Return a program as a script.

    Args:
        program: as the document has it.
        actions: those whose outputs are among the inputs.
    """
    members = "".join(f", {json.dumps(str(number))}: {{output: inputs[{json.dumps(str(number))}]}}" for number in actions)
    names = "".join(f"const ${number} = $[{json.dumps(str(number))}];\n" for number in actions)
    return (
        f"const $ = {{input: inputs.input{members}}};\n{names}"
        "const before = Object.keys($);\n"
        f"(function () {{\n{program}\n}})();\n"
        "return Object.fromEntries(Object.entries($).filter(([name]) => !before.includes(name)));"
    )
