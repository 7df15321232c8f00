"""A token becomes a name and roles, or is refused, by the rules of RFC 7519 and the advice of RFC 8725.

The settings say how a token may be signed, the provider's key says for which of these it is, and the token's own word decides
nothing: ``none`` is not among them, nor a way to sign with what is public. What a token's head says of keys (``jwk``, ``jku``,
``x5u``) is never looked at. A token is looked into only after its signature was found to be right, and never stands in an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jwt

from goconductor.control.actor import Actor
from goconductor.control.authority.authenticating import UnauthenticatedError
from goconductor.control.authority.roles import ForbiddenError
from goconductor.control.authority.tokens.keys import KnownKeys
from goconductor.control.authority.tokens.provider import Provider
from goconductor.control.faults import RequestInvalidError
from goconductor.control.settings.oidc import OidcSettings
from goconductor.redaction import logger_of

logger = logger_of("goconductor.control")

BYTES_MAX = 8 * 1024
KEY_ID_CHARACTERS_MAX = 256
"""Greatest length of a key's id, in characters."""
TYPES = {"", "JWT", "AT+JWT"}
"""What a token may call itself, in capitals: others, such as those of a logout, are for other uses (RFC 9068, RFC 8725 3.11)."""
NAME_CHARACTERS_MAX = 200
"""Greatest length of the name in a token, in characters."""
CLAIMING = " on behalf of "
"""What stands in the history between a name and what a request claims beside it. So no name may have it."""

_PROBLEMS: list[tuple[type[Exception], str]] = [
    (jwt.ExpiredSignatureError, "the token is over; get a new one"),
    (jwt.ImmatureSignatureError, "the token does not count yet; see that the clocks of its issuer and of this server agree"),
    (jwt.InvalidAudienceError, "the token is for somebody else; get one whose audience is among oidc.audience"),
    (jwt.InvalidIssuerError, "the token is of another issuer than oidc.issuer"),
    (jwt.MissingRequiredClaimError, "the token lacks one of the claims exp, iss and aud"),
    (jwt.InvalidSignatureError, "the token's signature is not that of its issuer"),
]


class Holder(NamedTuple):
    """Who has shown a token, and until when it counts, in seconds since 1970."""

    actor: Actor
    until: float


class Tokens:
    """Reads tokens.

    Args:
        settings: whose tokens, and what their claims mean.
    """

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._keys = KnownKeys(
            Provider(settings).read,
            refresh_seconds=settings.refresh_seconds,
            again_seconds=settings.again_seconds,
            keep_seconds=settings.keep_seconds,
        )

    async def holder(self, token: str) -> Holder:
        """Return who has shown a token.

        Args:
            token: as it came.

        Raises:
            UnauthenticatedError: it does not count; says why.
            ForbiddenError: it counts, and gives no role.
            ProviderUnavailableError: no keys are known by which it could be checked.
        """
        key_id, algorithm = self._head(token)
        key = await self._keys.find(key_id, algorithm)
        if key is None:
            raise UnauthenticatedError("the token is signed by a key that its issuer does not show; get a new one")
        claims = self._claims(token, key.public, algorithm)
        for name, wanted in self._settings.required_claims.items():
            if not _has(claim_of(claims, name), wanted):
                raise UnauthenticatedError(f"the token lacks the claim {name!a} as oidc.required_claims wants it")
        return Holder(self._actor(claims), _end_of(claims) + self._settings.leeway_seconds)

    async def trouble(self) -> str:
        """Return why tokens cannot be checked now, without a name or number; empty where they can."""
        problem = await self._keys.trouble()
        return "the keys of the identity provider cannot be read; the server's log has the reason" if problem else ""

    def _head(self, token: str) -> tuple[str, str]:
        if len(token) > BYTES_MAX:
            raise UnauthenticatedError(f"the token is larger than {BYTES_MAX:,} bytes; get one with fewer claims")
        try:
            head = jwt.get_unverified_header(token)
        except Exception:  # noqa: BLE001  (whatever a stranger sends: what cannot be read is no token)
            raise UnauthenticatedError("what came is neither an API key nor a JSON Web Token; send one of these") from None
        key_id, algorithm, kind = head.get("kid"), head.get("alg"), head.get("typ", "")
        if algorithm not in self._settings.algorithms:
            raise UnauthenticatedError("the token is signed in a way that is not among oidc.algorithms")
        if not isinstance(kind, str) or kind.upper().removeprefix("APPLICATION/") not in TYPES or "crit" in head:
            raise UnauthenticatedError("the token is for another use; get an access token")
        if not isinstance(key_id, str) or not 0 < len(key_id) <= KEY_ID_CHARACTERS_MAX:
            raise UnauthenticatedError("the token names no key of its issuer (kid)")
        return key_id, algorithm

    def _claims(self, token: str, public: Any, algorithm: str) -> Mapping[str, Any]:
        settings = self._settings
        try:
            found: dict[str, Any] = jwt.decode(
                token,
                public,
                algorithms=[algorithm],
                audience=list(settings.audience),
                issuer=settings.issuer,
                leeway=settings.leeway_seconds,
                options={"require": ["exp", "iss", "aud"]},
            )
        except Exception as error:  # noqa: BLE001  (as above: a claim may be anything)
            problem = next((says for kind, says in _PROBLEMS if isinstance(error, kind)), "the token cannot be read")
            raise UnauthenticatedError(problem) from None
        return found

    def _actor(self, claims: Mapping[str, Any]) -> Actor:
        settings = self._settings
        name = claim_of(claims, settings.name_claim)
        if not isinstance(name, str) or not name.strip() or len(name) > NAME_CHARACTERS_MAX or CLAIMING in name:
            problem = f"the token's claim {settings.name_claim!a} is no name of up to {NAME_CHARACTERS_MAX} characters"
            raise UnauthenticatedError(f"{problem}; set oidc.name_claim to one that is")
        said = claim_of(claims, settings.roles_claim)
        # a name is no list: who may choose one would choose 'bob admins'
        given = _texts(said) if settings.roles_claim != settings.name_claim else [name]
        roles = frozenset(role for each in given for role in settings.roles.get(each, ()))
        if not roles:
            problem = f"none of the roles in the token's claim {settings.roles_claim!a} is among oidc.roles"
            logger.warning("%a was refused: %s", settings.name_prefix + name, problem)
            raise ForbiddenError(f"{problem}; ask for one that is")
        try:
            return Actor(settings.name_prefix + name, roles)
        except RequestInvalidError:
            raise UnauthenticatedError(f"the token's claim {settings.name_claim!a} is no name of one line") from None


def claim_of(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim: that of this very name, or else by the name's parts, one inside of the other; None without such a claim.

    Args:
        claims: of a token.
        name: such as ``sub`` or ``realm_access.roles``.
    """
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _end_of(claims: Mapping[str, Any]) -> float:
    try:
        return float(claims["exp"])
    except OverflowError:  # a whole number may have any number of digits
        raise UnauthenticatedError("the token cannot be read") from None


def _texts(given: Any) -> list[str]:
    """Return the words of a claim: of a list its texts, of a text itself and what stands between its spaces."""
    if isinstance(given, str):
        return [given, *given.split()]
    return [each for each in given if isinstance(each, str)] if isinstance(given, list) else []


def _has(given: Any, wanted: str) -> bool:
    return given == wanted or (isinstance(given, list) and wanted in given)
