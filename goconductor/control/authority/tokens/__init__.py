"""Tokens of an identity provider: JSON Web Tokens (RFC 7519) of one issuer, by its public keys."""
