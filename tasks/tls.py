"""The certificates that this program trusts, read once: httpx would read them anew for each client."""

import ssl
from functools import cache

import httpx


@cache
def trusted(*, trust_env: bool = True) -> ssl.SSLContext:
    """The certificates, as httpx takes them for `verify`.

    Reading them takes longer than a request within the machine.
    With `trust_env`, SSL_CERT_FILE and SSL_CERT_DIR are heeded, as by a client with the same argument.
    """
    return httpx.create_ssl_context(trust_env=trust_env)
