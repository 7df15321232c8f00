"""A pod of a rendering as a process of this machine: its command, its variables, its settings; if it can be, its security too."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from goconductor.testing.loopback import free_port
from tests.deploy.helm import Document

ROOT = Path(__file__).parents[2]

CONFINED = """
set -e
mount --bind "$FOLDER" /mnt
mount -o remount,bind,ro /
exec 9< "$CODE"
mount -t tmpfs tmpfs /tmp
case "$CODE" in /tmp/*) mkdir -p "$CODE"; mount --no-canonicalize --bind /proc/self/fd/9 "$CODE";; esac
exec 9<&-
cd /
exec setpriv --reuid="$USER_ID" --regid="$USER_ID" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"
"""
"""As the rendering says: nobody in particular, without rights, nothing to write to but an empty /tmp. Settings are in /mnt.

Code that lies below /tmp itself, as a clone may, is put back into the empty one.
"""


def can_confine() -> bool:
    """Whether this machine lets us make a namespace of mounts: as root, and not within every container."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "mount"))):
        return False
    tried = ["unshare", "--mount", "--propagation", "private", "mount", "-o", "remount,bind,ro", "/"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def container_of(document: Document) -> Document:
    """The only container of a Deployment or a Job."""
    (container,) = document["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


async def start(
    document: Document, folder: Path, *, settings: str = "", url: str, confined: bool = False
) -> tuple[Process, dict[str, int]]:
    """Start a pod's process.

    Args:
        document: a Deployment or a Job.
        folder: for its settings, readable for everybody.
        settings: the text of its ConfigMap.
        url: what its Secret has.
        confined: whether it runs as its security context says.

    Returns:
        The process, and its ports by the names of their variables; each is a free one of this machine.
    """
    container = document["spec"]["template"]["spec"]["containers"][0]
    (folder / "goconductor.yaml").write_text(settings)
    variables = {each["name"]: each.get("value", url) for each in container_of(document)["env"]}
    ports = {name: free_port() for name in variables if name.endswith("_PORT")}
    variables |= {name: str(port) for name, port in ports.items()}
    if "GOCONDUCTOR_CONFIG" in variables:
        variables["GOCONDUCTOR_CONFIG"] = "/mnt/goconductor.yaml" if confined else str(folder / "goconductor.yaml")
    variables |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
    prefix: list[str] = []
    if confined:
        prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", CONFINED, "pod"]
        variables |= {
            "FOLDER": str(folder),
            "CODE": str(ROOT),
            "USER_ID": str(document["spec"]["template"]["spec"]["securityContext"]["runAsUser"]),
        }
    process = await asyncio.create_subprocess_exec(*prefix, *container["command"], env=variables, stdout=PIPE, stderr=PIPE)
    return process, ports
