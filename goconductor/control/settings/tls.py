"""TLS of a door: its settings, and the files that they name, read once at the start so that an error names the setting."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple

from goconductor.control.settings.doors import TlsSettings
from goconductor.errors import ConfigurationError


class TlsFiles(NamedTuple):
    """What the files hold, as PEM, and what Python makes of it."""

    certificate: bytes
    key: bytes
    client_authority: bytes | None
    context: ssl.SSLContext


def tls_of(section: str, door: TlsSettings) -> TlsFiles | None:
    """Read the files of a door's TLS.

    Args:
        section: the section's name, for errors.
        door: the settings.

    Returns:
        what they hold; None where the door speaks without TLS.

    Raises:
        ConfigurationError: one cannot be read, or is not what it should be; names the setting.
    """
    if door.certificate is None or door.certificate_key is None:
        return None
    certificate = _read(f"{section}.certificate", door.certificate)
    key = _read(f"{section}.certificate_key", door.certificate_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(door.certificate, door.certificate_key, password="")
    except (ssl.SSLError, ValueError):
        problem = (
            f"{section}.certificate and {section}.certificate_key: are no certificate and its key, as PEM without a passphrase"
        )
        raise ConfigurationError(problem) from None
    authority = None
    if door.client_authority is not None:
        authority = _read(f"{section}.client_authority", door.client_authority)
        try:
            context.load_verify_locations(cadata=authority.decode("ascii"))
        except (ssl.SSLError, ValueError):
            raise ConfigurationError(f"{section}.client_authority: is no certificate, as PEM") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return TlsFiles(certificate, key, authority, context)


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no file can be called so"
        raise ConfigurationError(f"{name}: cannot be read ({why}); name a file that this process may read") from None
