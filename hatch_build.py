"""Build a wheel whose hottest modules are compiled to machine code, with mypyc.

hatchling calls this where it is asked to, as ``make wheel-compiled`` does::

    HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 python -m build --wheel

Without that variable nothing here is run, and the wheel is pure Python. So is an editable install, always: nothing is compiled in
place, as an import would prefer what lies beside a source that has changed since.

Which modules are compiled stands in ``pyproject.toml``: ``modules`` there less those of ``pure``. A new module is compiled where
one of the patterns means it, and the build fails where mypyc cannot do that. The wheel keeps the sources as well, for tracebacks
and type checkers, and names what is compiled in ``goconductor/compiled.txt``, which ``goconductor.builds`` reads.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

GROUP = "goconductor"
"""The shared library, with the code of all modules, is named after it."""


class CompiledWheel(BuildHookInterface[Any]):
    """Adds the compiled modules to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, outside of the source tree, and tell hatchling where the results belong."""
        if version == "editable":
            return
        root = Path(self.root)
        sources = chosen(root, self.config)
        work = Path(tempfile.mkdtemp(prefix="goconductor-compiled-"))
        self._work = work
        try:
            library = _compile(root, sources, work)
        except BaseException:
            shutil.rmtree(work)  # a build that fails is not finalized
            raise
        listed = work / "compiled.txt"
        listed.write_text("".join(f"{module_of(source)}\n" for source in sources))
        build_data["force_include"] |= {str(library / file): file.as_posix() for file in _files(library)}
        build_data["force_include"][str(listed)] = "goconductor/compiled.txt"
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove what was compiled; it is in the wheel."""
        if version != "editable":
            shutil.rmtree(self._work)


def chosen(root: Path, config: Mapping[str, Any]) -> list[str]:
    """Return the sources that are compiled, in order.

    Args:
        root: the project's folder.
        config: the table of this hook in ``pyproject.toml``: ``modules`` and ``pure`` are patterns of paths below the root.

    Raises:
        ValueError: a pattern means nothing: a module was renamed, and would silently be compiled no more.
    """
    pure = {source for pattern in config["pure"] for source in _meant(root, pattern)}
    return sorted({source for pattern in config["modules"] for source in _meant(root, pattern)} - pure)


def _meant(root: Path, pattern: str) -> Iterable[str]:
    found = [path.relative_to(root).as_posix() for path in root.glob(pattern)]
    if not found:
        raise ValueError(f"{pattern!r}, among the modules to compile in pyproject.toml, means no file; correct or remove it")
    return found


def module_of(source: str) -> str:
    """Return the name of a module, by the path of its source."""
    return source.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def _compile(root: Path, sources: Sequence[str], work: Path) -> Path:
    """Return the folder with the extension modules, laid out as in the wheel.

    Of what is imported mypy reads the types, but reports no errors: extras that are missing are no matter of this build.
    """
    from mypyc.build import mypycify  # noqa: PLC0415  (a pure build has no compiler)
    from setuptools import Distribution  # noqa: PLC0415

    options = [
        "--config-file=pyproject.toml",
        "--follow-imports=silent",
        "--ignore-missing-imports",
        f"--cache-dir={work / 'cache'}",
    ]
    library = work / "library"
    with contextlib.chdir(root):
        extensions = mypycify(
            [*options, *sources],
            only_compile_paths=sources,
            target_dir=str(work / "c"),
            group_name=GROUP,
            opt_level="3",
            debug_level="0",
        )
        command = Distribution({"name": GROUP, "ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = str(library), str(work / "objects")
        command.ensure_finalized()
        command.run()
    return library
