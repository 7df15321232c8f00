"""Servers that come from Maven Central as jars.

They are fetched once, into the project's own folder ``.services``. Java 17 or newer and, for the first time, Maven must be there.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from goconductor.errors import ConfigurationError
from tests.servers.versions import SERVICES

POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>goconductor</groupId>
  <artifactId>{name}-for-tests</artifactId>
  <version>1</version>
  <dependencies>{dependency}</dependencies>
</project>
"""
FETCH_SECONDS = 600.0
INSTALL = "apt-get install openjdk-17-jre-headless maven (Debian, Ubuntu), brew install openjdk maven (macOS)"


def fetch_jars(name: str, version: str, dependency: str) -> Path:
    """The folder of a server's jars; they are fetched if they are missing. Safe for several processes at once.

    Args:
        name: the server's, for messages and the folder's name.
        version: as pinned.
        dependency: the POM's element that names the artifact.

    Raises:
        ConfigurationError: Java or Maven is missing, or Maven Central cannot be reached.
    """
    find_java(name)
    place = SERVICES / name / version
    jars = place / "jars"
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigurationError(f"{name} is fetched by Maven, which is not installed: {INSTALL}")
    place.mkdir(parents=True, exist_ok=True)
    with alone(place / "lock"):
        if not jars.is_dir():
            coming = place / "jars.coming"
            shutil.rmtree(coming, ignore_errors=True)
            pom = place / "pom.xml"
            pom.write_text(POM.format(name=name, dependency=dependency))
            command: list[str | Path] = [maven, "-q", "-B", "-f", pom, "dependency:copy-dependencies"]
            options = ["-DincludeScope=runtime", f"-DoutputDirectory={coming}"]
            try:
                fetched = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=FETCH_SECONDS)
            except subprocess.TimeoutExpired:
                raise ConfigurationError(
                    f"{name} could not be fetched within {FETCH_SECONDS:g} s; is Maven Central there?"
                ) from None
            if fetched.returncode:
                raise ConfigurationError(f"{name} could not be fetched; is Maven Central there? {fetched.stdout[-1000:]}")
            coming.rename(jars)
    return jars


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """One process at a time."""
    with lock.open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def find_java(name: str) -> str:
    """The program.

    Raises:
        ConfigurationError: there is none.
    """
    java = shutil.which("java")
    if java is None:
        raise ConfigurationError(f"{name} needs Java 17 or newer, which is not installed: {INSTALL}")
    return java
