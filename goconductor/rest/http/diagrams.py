"""Responses with a diagram."""

from __future__ import annotations

from typing import Any

from fastapi.responses import Response

from goconductor.control.diagrams.drawing import Form

MEDIA_TYPES = {Form.MERMAID: "text/vnd.mermaid", Form.SVG: "image/svg+xml"}
DIAGRAM: dict[str, Any] = {
    "description": "the diagram",
    "content": {media_type: {"schema": {"type": "string"}} for media_type in MEDIA_TYPES.values()},
}
"""The response in OpenAPI."""


def diagram_response(drawn: str, form: Form) -> Response:
    """Answer with a diagram, in the media type of its form."""
    return Response(drawn, media_type=f"{MEDIA_TYPES[form]}; charset=utf-8")
