"""The command line. ``docs/cli.md`` describes every command; its reference is made of the commands themselves."""

from goconductor.cli.main import main

__all__ = ["main"]
