"""Helm, as the tests run it, and the chart with the values that it is tried with."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from goconductor.errors import ConfigurationError
from tests.servers.versions import HELM, SERVICES

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "goconductor"
VALUES = Path(__file__).parent / "values"
RENDERED = Path(__file__).parent / "rendered"
MADE_OF = RENDERED / "made-of.txt"
NAMES = sorted(path.stem for path in VALUES.glob("*.yaml"))
"""The sets of values."""

KUBERNETES = "1.37.0"
"""Helm from its sources believes that it speaks to Kubernetes 1.20, so it is told another version."""
REMEDY = f"GOBIN=$PWD/.services/helm/{HELM} go install helm.sh/helm/v3/cmd/helm@v{HELM}, or put a `helm` of version 3 on the PATH"

Document = dict[str, Any]


class RefusedValuesError(Exception):
    """Helm rendered nothing; the message is its own."""


@dataclass(frozen=True)
class Helm:
    """The program."""

    program: Path

    def run(self, *arguments: str | Path) -> str:
        """What it prints.

        Raises:
            RefusedValuesError: it failed.
        """
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RefusedValuesError(done.stderr + done.stdout)
        return done.stdout

    def template(self, *values: Path, release: str = "shop", options: tuple[str, ...] = ()) -> list[Document]:
        """The objects that the chart becomes with some files of values."""
        given = [part for path in values for part in ("--values", path)]
        printed = self.run("template", release, CHART, "--namespace", "sagas", "--kube-version", KUBERNETES, *given, *options)
        return [each for each in yaml.safe_load_all(printed) if each is not None]


def find_helm() -> Helm:
    """The pinned version that ``make servers`` built, else the one on the PATH.

    Raises:
        ConfigurationError: there is none.
    """
    if (built := SERVICES / "helm" / HELM / "helm").exists():
        return Helm(built)
    if program := shutil.which("helm"):
        return Helm(Path(program))
    raise ConfigurationError(f"Helm is not here: {REMEDY}")


def values_of(name: str) -> Path:
    """The file of a set of values."""
    return VALUES / f"{name}.yaml"


def shown(documents: list[Document]) -> list[Document]:
    """The objects as they are kept: alert rules and dashboard are the files that the chart has, and not kept twice."""
    kept = []
    for each in documents:
        match each["kind"]:
            case "PrometheusRule":
                kept.append({**each, "spec": "files/alerts.yml"})
            case "ConfigMap" if "goconductor.json" in each["data"]:
                kept.append({**each, "data": {"goconductor.json": "files/dashboard.json"}})
            case _:
                kept.append(each)
    return kept


def written(documents: list[Document]) -> str:
    """Objects as text."""
    return "---\n".join(yaml.safe_dump(each, sort_keys=False, width=130) for each in documents)


def kept(name: str) -> list[Document]:
    """The objects that a set of values became when somebody last looked at them."""
    return list(yaml.safe_load_all((RENDERED / f"{name}.yaml").read_text("utf-8")))


def sources() -> str:
    """What the kept renderings are made of, as a digest: templates, defaults, and the sets of values."""
    digest = hashlib.sha256()
    paths = [CHART / "Chart.yaml", CHART / "values.yaml", *CHART.glob("templates/*"), *VALUES.glob("*.yaml")]
    for path in sorted(paths):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest() + "\n"
