"""The pages on Flask and Django: our part of their code is served by the standard library's WSGI server, with real requests.

The frameworks are not installed here, so their own lines are only read: they must be Python, and call what is there.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from goconductor import Participant
from goconductor.testing.loopback import free_port
from tests.docs.page import DOCS, files

SERVER = """
import json, sys, threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import {module}

class Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True

class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass

def app(environ, start_response):
    words = environ["PATH_INFO"].strip("/").split("/")
    answer = getattr({module}, words[0])(*json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]

make_server("127.0.0.1", int(sys.argv[1]), app, Threading, Quiet).serve_forever()
"""
PARTICIPANT = "import asyncio\nfrom {module} import {name}\nasyncio.run({name}.run())\n"


class Site:
    """The page's files, served, with the participant beside them."""

    def __init__(self, page: str, module: str, participant: tuple[str, str], folder: Path, url: str) -> None:
        self.programs = files(DOCS / "how-to" / page)
        for name, text in self.programs.items():
            (folder / name).write_text(text, "utf-8")
        (folder / "serve.py").write_text(SERVER.format(module=module), "utf-8")
        (folder / "participant.py").write_text(PARTICIPANT.format(module=participant[0], name=participant[1]), "utf-8")
        self._port = free_port()
        environment = {**os.environ, "GOCONDUCTOR_DATABASE_URL": url}
        goconductor = str(Path(sys.executable).with_name("goconductor"))
        subprocess.run([goconductor, "migrate"], env=environment, cwd=folder, check=True, timeout=600)
        self.processes = [
            subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment, stderr=subprocess.DEVNULL)
            for arguments in (["participant.py"], ["serve.py", str(self._port)])
        ]

    def ask(self, function: str, *arguments: object) -> Any:
        """Call a function of the page over HTTP; waits for the server to be up."""
        body = json.dumps(arguments).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/{function}", data=body)
        until = time.monotonic() + 300
        while True:
            try:
                with urllib.request.urlopen(request, timeout=300) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError:
                raise
            except urllib.error.URLError:
                assert time.monotonic() < until, "the server did not come up"
                threading.Event().wait(0.05)

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(300)


@pytest.fixture
def flask(postgres_url: str, tmp_path: Path) -> Iterator[Site]:
    site = Site("flask.md", "checkout", ("payments", "payments"), tmp_path, postgres_url)
    yield site
    site.close()


@pytest.fixture
def django(postgres_url: str, tmp_path: Path) -> Iterator[Site]:
    site = Site("django.md", "sagas", ("billing", "billing"), tmp_path, postgres_url)
    yield site
    site.close()


@pytest.mark.postgres
def test_the_views_of_the_flask_page_sell_and_refuse(flask: Site) -> None:
    sold = flask.ask("buy", "17", 4_900)
    assert flask.ask("buy", "17", 4_900) == sold
    assert flask.ask("receipt", sold) == "receipt for 4900 cents"
    assert flask.ask("look", sold) == {"status": "completed", "reason": None}
    assert flask.ask("receipt", flask.ask("buy", "18", 900_000)).startswith("not sold: step 'charge': RefusedError")


@pytest.mark.postgres
def test_the_view_of_the_django_page_begins_one_saga_for_an_order(django: Site) -> None:
    assert django.ask("begin", "17", 4_900) == django.ask("begin", "17", 4_900)


@pytest.mark.parametrize(
    ("page", "script", "module"),
    [
        ("flask.md", "flask_app.py", "checkout"),
        ("django.md", "django_views.py", "sagas"),
        ("django.md", "django_command.py", "billing"),
    ],
)
def test_the_lines_that_are_the_frameworks_own_call_what_is_there(page: str, script: str, module: str) -> None:
    programs = files(DOCS / "how-to" / page)
    defined = {
        name
        for node in ast.parse(programs[f"{module}.py"]).body
        for name in ([node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else _assigned(node))
    }
    called = {
        node.attr
        for node in ast.walk(ast.parse(programs[script]))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == module
    }
    if module in defined:  # a participant, whose methods are ours
        called = {name for name in called if not hasattr(Participant, name)} | {module}
    assert called
    assert called <= defined


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]
