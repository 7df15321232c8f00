"""How the secret of an endpoint is kept: it has to be known again to sign, so a hash would not do.

All that is kept goes through these two functions, and says by its beginning in which way it is kept.
"""

from __future__ import annotations

from goconductor.errors import ConfigurationError

PLAIN = "plain:"


def seal(secret: str) -> str:
    """Return a secret as it is kept.

    Args:
        secret: the secret, as its receiver has it.
    """
    return f"{PLAIN}{secret}"


def unseal(kept: str) -> str:
    """Return a secret that is kept.

    Args:
        kept: what :func:`seal` has returned.

    Raises:
        ConfigurationError: it is kept in a way that this version does not know.
    """
    if not kept.startswith(PLAIN):
        raise ConfigurationError("a webhook's secret is kept in a way that this version does not know; rotate the secret")
    return kept.removeprefix(PLAIN)
