"""The proto files: the code beside them is made of them, and what clients were built against stays as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from goconductor.grpc import v1

ROOT = Path(__file__).parents[2]
PROTO = Path(v1.__file__).parent
FILES = sorted(PROTO.glob("*.proto"))
PROTOC = ROOT / ".services" / "protoc"
KEPT = Path(__file__).with_name("grpc_v1_kept.txt")
TYPES = {number: name.removeprefix("TYPE_").lower() for name, number in vars(FieldDescriptor).items() if name.startswith("TYPE_")}


def test_the_code_is_what_the_command_writes(tmp_path: Path) -> None:
    assert PROTOC.is_dir(), "make servers installs the compiler"
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "--proto_path",
        ".",
        f"--python_out={tmp_path}",
        f"--pyi_out={tmp_path}",
    ]
    files = [str(path.relative_to(ROOT)) for path in FILES]
    subprocess.run([*command, *files], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(PROTOC)}, check=True)
    made = {path.name: path.read_text("utf-8") for path in tmp_path.rglob("*.py*")}
    there = {path.name: path.read_text("utf-8") for path in PROTO.glob("*_pb2.py*")}
    assert sorted(made) == sorted(there)
    assert [name for name in made if made[name] != there[name]] == [], "make proto writes it anew"


def test_each_file_with_a_service_is_served() -> None:
    told = {line.split()[1] for path in FILES for line in path.read_text("utf-8").splitlines() if line.startswith("service ")}
    assert {service.name for service in v1.SERVICES} == told


def said() -> Iterator[str]:
    """A line for everything that a client relies on."""
    seen: set[str] = set()
    for service in v1.SERVICES:
        for method in service.methods:
            stream = "stream " if method.server_streaming else ""
            given = "stream " if method.client_streaming else ""
            yield f"{method.full_name}({given}{method.input_type.full_name}) {stream}{method.output_type.full_name}"
            yield from _fields(method.input_type, seen)
            yield from _fields(method.output_type, seen)


def _fields(message: Any, seen: set[str]) -> Iterator[str]:
    if message.full_name in seen or not message.full_name.startswith("goconductor."):
        return
    seen.add(message.full_name)
    for field in message.fields:
        kind = field.message_type.full_name if field.message_type else TYPES[field.type]
        label = "repeated " if field.is_repeated else "optional " if field.has_presence else ""
        yield f"{field.full_name} = {field.number} {label}{kind}"
        if field.message_type is not None:
            yield from _fields(field.message_type, seen)


def test_nothing_that_a_client_relies_on_has_changed() -> None:
    """Fields and methods may come. One that has gone, or has another number or type, breaks clients that are out there.

    ``GOCONDUCTOR_TEST_REWRITE=1`` adds what is new to the kept copy; it takes nothing away.
    """
    now, kept = set(said()), set(KEPT.read_text("utf-8").splitlines()) if KEPT.exists() else set()
    if os.environ.get("GOCONDUCTOR_TEST_REWRITE"):
        KEPT.write_text("".join(f"{line}\n" for line in sorted(now | kept)), "utf-8")
        kept |= now
    assert sorted(kept - now) == []
    assert sorted(now - kept) == [], "GOCONDUCTOR_TEST_REWRITE=1 pytest tests/doors/test_grpc_proto.py adds it to the kept copy"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_methods_and_messages_are_named_as_the_style_of_protobuf_has_it(path: Path) -> None:
    for line in path.read_text("utf-8").splitlines():
        match line.split():
            case ["message" | "service", name, *_]:
                assert name.isidentifier()
                assert name[0].isupper()
                assert "_" not in name
            case ["rpc", signature, *_]:
                assert signature[0].isupper()
            case [*_, name, "=", _] if line.endswith(";") and not line.startswith("syntax"):
                assert name == name.lower()
