"""Drawings as answers."""

from __future__ import annotations

from typing import Any

from goconductor.control.diagrams.drawing import Form
from goconductor.grpc.fields import choice, given
from goconductor.grpc.v1.values_pb2 import Diagram

_MEDIA = {Form.MERMAID: "text/vnd.mermaid", Form.SVG: "image/svg+xml"}


def form_of(request: Any) -> Form:
    """Return the wanted form.

    Raises:
        RequestInvalidError: there is no such form.
    """
    return choice("form", given(request, "form", Form.MERMAID), Form)


def drawn(text: str, form: Form) -> Diagram:
    """Make the answer."""
    return Diagram(content_type=_MEDIA[form], text=text)
