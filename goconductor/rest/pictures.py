"""Pictures as they are sent."""

from __future__ import annotations

from typing import Any

from fastapi.responses import Response

from goconductor.control.diagrams import Form

MEDIA_TYPES = {Form.MERMAID: "text/vnd.mermaid", Form.SVG: "image/svg+xml"}
PICTURE: dict[str, Any] = {
    "description": "the picture",
    "content": {media_type: {"schema": {"type": "string"}} for media_type in MEDIA_TYPES.values()},
}
"""For OpenAPI."""


def picture(drawn: str, form: Form) -> Response:
    """A picture in its form's media type."""
    return Response(drawn, media_type=f"{MEDIA_TYPES[form]}; charset=utf-8")
