"""What a command is given as a definition: code, a file, or the name of a registered one."""

from __future__ import annotations

import importlib
import sys
from operator import attrgetter
from pathlib import Path

from goconductor.cli.running import fail, read_file
from goconductor.control.doors.exits import Exit
from goconductor.dataflow.dataflow import Dataflow
from goconductor.saga.definition import Definition
from goconductor.saga.ids import INSIDE
from goconductor.saga.writing.builder import Saga


def is_code(what: str) -> bool:
    """Return whether it is ``module:saga``, unless a file is called so."""
    module, colon, name = what.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *name.split("."))) and not Path(what).exists()


def imported(what: str) -> Definition:
    """Return the definition of a saga in a module, which is found from the folder of the command."""
    module, _, name = what.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = attrgetter(name)(importlib.import_module(module))
    except ModuleNotFoundError as error:
        fail(f"{what}: there is no module {error.name!r}; type the command where Python finds it, or set PYTHONPATH", Exit.USAGE)
    except AttributeError as error:
        fail(f"{what}: {error}; name the variable that holds the saga", Exit.USAGE)
    except Exception as error:  # noqa: BLE001  (it is somebody's code)
        fail(f"{what}: importing it raised {type(error).__name__}: {error}", Exit.USAGE)
    finally:
        sys.path.pop(0)
    if not isinstance(found, Saga | Dataflow):
        fail(f"{what} is a {type(found).__name__}; name the variable that holds the Saga or the Dataflow", Exit.USAGE)
    return found.definition


def content(file: str) -> bytes:
    """Return what is in a file of a definition, or in the standard input for ``-``; a file of Python ends the command."""
    if file.endswith(".py"):
        example = f"{Path(file).stem}:order"
        fail(f"{file}: is Python, but files are read as YAML or JSON; name module and saga, such as {example}", Exit.USAGE)
    return read_file(file, file)


def is_file(what: str) -> bool:
    """Return whether it is a file: a saga's name has no dot and no slash, and a file's mostly has one.

    The name of a saga that is written inside another one has a colon, and may have a dot after it.
    """
    return what == "-" or (("." in what or "/" in what) and (INSIDE not in what or Path(what).exists()))
