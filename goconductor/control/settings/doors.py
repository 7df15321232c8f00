"""The sections of the settings that say where a server listens, and whom it takes."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from goconductor.control.settings.sections import Section


class TlsSettings(Section):
    """How a door speaks TLS."""

    certificate: str | None = None
    """The path of the server's certificate with its chain, as PEM. With it the server speaks TLS only."""
    certificate_key: str | None = None
    """The path of the certificate's private key, as PEM without a passphrase."""
    client_authority: str | None = None
    """The path of the certificate of an authority, as PEM. With it only clients with a certificate of that authority can
    connect."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError("should have both 'certificate' and 'certificate_key', or neither")
        if self.client_authority is not None and self.certificate is None:
            raise ValueError("'client_authority' needs 'certificate' and 'certificate_key'")
        return self


class RestSettings(TlsSettings):
    """Where the REST server listens."""

    insecure: bool = False
    """Allow other hosts than loopback without authentication, and answer to any name. Everybody who reaches the server can start
    sagas."""
    host: str = "127.0.0.1"
    """The address that the REST server listens on."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """Its TCP port; 0 takes a free one."""


class GrpcSettings(TlsSettings):
    """Where the gRPC server listens."""

    insecure: bool = False
    """Allow other hosts than loopback without authentication. Everybody who reaches the server can start sagas."""
    host: str = "127.0.0.1"
    """The address that the gRPC server listens on."""
    port: Annotated[int | None, Field(ge=0, le=65_535)] = None
    """Its TCP port; 0 takes a free one. Without a port there is no gRPC server."""
    watches_max: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Watches of sagas that may be open at once in one server; as many of its health may be open, too."""


class GatewaySettings(Section):
    """Whether a server takes remote workers, and how many."""

    enabled: bool = False
    """Accept remote workers in this server, over REST, and over gRPC if that has a port. For their steps the server is then the
    participant, and needs the same rights on the database."""
    sessions_max: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """Workers that one server accepts at once."""
    participants_max: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Participants whose steps the workers of one server may offer; each has its own connections to the database and the bus."""
    credit_max: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Tasks that one worker may have at once."""
    grace_seconds: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 10.0
    """Seconds in which a worker whose connection broke may come back to its tasks; after that their outcomes are unknown."""
