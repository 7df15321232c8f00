"""What is switched on needs its extra, and says so; what is off is not even imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, sys
sys.modules[{missing!r}] = None
from goconductor import Settings, connect
from goconductor.errors import PluginNotFoundError

async def main():
    environ = {{"GOCONDUCTOR_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", {variable!r}: {value!r}}}
    try:
        async with connect(Settings.load(environ=environ)):
            pass
    except PluginNotFoundError as error:
        print(error)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("missing", "variable", "value", "extra"),
    [
        ("prometheus_client", "GOCONDUCTOR_METRICS_PORT", "0", "metrics"),
        ("opentelemetry", "GOCONDUCTOR_TRACES_ENABLED", "true", "tracing"),
    ],
)
def test_without_its_extra_it_says_what_to_install(missing: str, variable: str, value: str, extra: str) -> None:
    script = SCRIPT.format(missing=missing, variable=variable, value=value)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(f"{extra} needs a library that is not installed (")
    assert done.stdout.strip().endswith(f"pip install 'goconductor[{extra}]'")
