"""Whose tokens are taken beside API keys, and what of a token becomes a name and roles."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from goconductor.control.roles import role_problem
from goconductor.control.settings.auth import AuthSettings
from goconductor.control.settings.sections import Section, is_loopback, listed

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Ways to sign that have a public and a private key. Others are not known here: with ``HS256`` whoever has the public key could
sign, and ``none`` signs nothing (RFC 8725, 2.1 and 3.1)."""


def _roles(roles: tuple[str, ...]) -> tuple[str, ...]:
    if problem := next((found for each in roles if (found := role_problem(each)) is not None), None):
        raise ValueError(problem)
    return roles


Roles = Annotated[tuple[str, ...], BeforeValidator(listed), AfterValidator(_roles)]
Seconds = Annotated[float, Field(ge=1, le=7 * 86_400, allow_inf_nan=False)]


class OidcSettings(Section):
    """Whose tokens are taken."""

    issuer: str | None = None
    """The issuer of the tokens, as in their claim ``iss``: ``https://login.example.com/realms/shop``. Without it no tokens
    are accepted. Needs ``auth.enabled``, and the extra ``oidc``."""
    audience: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    """The audiences of which a token must have one, in its claim ``aud``. Required: tokens for other services are refused."""
    jwks: str | None = None
    """Where the issuer's public keys are: a URL, or the path of a file; without it, its ``/.well-known/openid-configuration``
    says where."""
    authority: str | None = None
    """The path of the certificate of the authority of the issuer's server, as PEM; without it, those of the system."""
    token_file: str | None = None
    """The path of a token that is sent to read the keys, if the issuer requires one, as Kubernetes does."""
    algorithms: Annotated[tuple[Algorithm, ...], BeforeValidator(listed), Field(min_length=1)] = ("RS256", "ES256", "EdDSA")
    """The allowed algorithms of signatures; all need a private key that only the issuer has."""
    leeway_seconds: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)] = 30.0
    """Seconds by which the clocks of issuer and server may differ."""
    name_claim: Annotated[str, Field(min_length=1)] = "sub"
    """The claim with the name of the actor. For a claim inside another one write ``outer.inner``."""
    name_prefix: Annotated[str, Field(max_length=50)] = "oidc:"
    """A prefix of the name, so that a token never has the name of an API key."""
    roles_claim: Annotated[str, Field(min_length=1)] = "roles"
    """The claim with the issuer's roles, groups or scopes: a list, or a text with spaces in between."""
    roles: dict[str, Roles] = Field(default_factory=dict)
    """What each of the issuer's roles means here: ``{sagas-admin: admin, night-shift: [operator, deployer]}``. Other roles give
    nothing."""
    required_claims: dict[str, str] = Field(default_factory=dict)
    """Further claims that a token must have, with their texts: ``{azp: saga-console}``."""
    refresh_seconds: Seconds = 300.0
    """Seconds after which the keys are read again."""
    again_seconds: Seconds = 10.0
    """Least time between two reads of the keys, even if tokens of unknown keys come."""
    keep_seconds: Seconds = 86_400.0
    """Seconds that known keys stay valid while the issuer cannot be reached."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.issuer is None:
            if self.model_fields_set:
                raise ValueError("'issuer' is not set, so nothing else here has a meaning; set it")
            return self
        for key, url in (("issuer", self.issuer), ("jwks", self.jwks)):
            if url is not None and (key == "issuer" or "://" in url) and not is_safe(url):
                raise ValueError(f"{key!r} should look like https://login.example.com, or http:// and a loopback address")
        if not self.audience or not all(each.strip() for each in self.audience):
            raise ValueError("'audience' should say for whom tokens are made, or those for other services would do here")
        if not self.roles or not all(each.strip() for each in self.roles):
            raise ValueError("'roles' should say what the issuer's roles are here, or nobody with a token could do anything")
        if self.keep_seconds < max(self.refresh_seconds, self.again_seconds):
            raise ValueError("'keep_seconds' should not be less than 'refresh_seconds' and 'again_seconds'; raise it")
        return self


def is_safe(url: str) -> bool:
    """Return whether keys may be read from a URL: who is on the way could put in others, so it has TLS, or stays on loopback."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def asked_for(oidc: OidcSettings, auth: AuthSettings | None) -> OidcSettings:
    """Refuse an issuer where nobody is asked for a token.

    Args:
        oidc: the settings of tokens.
        auth: whether doors ask; None where those settings are wrong themselves.

    Raises:
        PydanticCustomError: they do not.
    """
    if oidc.issuer is not None and auth is not None and not auth.enabled:
        problem = "does nothing while no door asks who is there; set auth.enabled to true"
        raise PydanticCustomError("open_door", "{problem}", {"problem": problem, "key": "issuer"})
    return oidc
