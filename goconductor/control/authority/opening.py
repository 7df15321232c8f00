"""Makes what knows who is behind a door's requests, by the settings."""

from __future__ import annotations

from collections.abc import Callable

from goconductor.control.authority.authenticating import Authenticator
from goconductor.control.settings.settings import Settings
from goconductor.errors import PluginNotFoundError
from goconductor.ports.store.reading.keys import Keys


def make_authenticator(settings: Settings, keys: Callable[[], Keys]) -> Authenticator:
    """Make it.

    Args:
        settings: the loaded settings.
        keys: returns the store's API keys.

    Raises:
        PluginNotFoundError: the settings have an issuer of tokens, and the library for tokens is not installed.
        ConfigurationError: a file that the settings name cannot be used.
    """
    rate = settings.auth.requests_per_second
    if settings.oidc.issuer is None:
        return Authenticator(keys, requests_per_second=rate)
    try:
        from goconductor.control.authority.tokens.reading import Tokens  # noqa: PLC0415  (needs its extra)
    except ImportError as error:
        problem = f"oidc.issuer needs a library that is not installed ({error.name}): pip install 'goconductor[oidc]'"
        raise PluginNotFoundError(problem) from None
    return Authenticator(keys, requests_per_second=rate, tokens=Tokens(settings.oidc))
