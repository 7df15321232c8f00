"""The REST door: :func:`create_app` makes an ASGI application over a node, to be served or mounted in another one."""

from goconductor.rest.app import create_app

__all__ = ["create_app"]
