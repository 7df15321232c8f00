"""What the doctor says about the build that runs."""

from __future__ import annotations

from goconductor.builds import Build
from goconductor.control.doctor.findings import Check, warning


def of_build(build: Build) -> Check:
    """Tell which build it is, and find modules that were compiled and run from their sources all the same."""
    lost = (
        [warning(f"{build}: {', '.join(build.lost)}", "install the wheel again; until then sagas take more CPU")]
        if build.lost
        else []
    )
    return Check.of("build", lost, saw=str(build))
