"""TLS to Asterisk's manager interface: `pbx.ami_tls`, `pbx.ami_ca`."""

import ssl
from pathlib import Path

from fonoteka.core.config import PbxSection
from fonoteka.core.errors import ConfigurationError


def tls_context(pbx: PbxSection, source: Path | None) -> ssl.SSLContext | None:
    """Return the context of a connection that checks certificate and host name; None without TLS.

    Raises ConfigurationError if `pbx.ami_ca` cannot be read.
    """
    if not pbx.ami_tls:
        return None
    try:
        return ssl.create_default_context(cafile=pbx.ami_ca)
    except OSError as error:  # ssl.SSLError is one
        reason = "it holds no certificate (PEM)" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(f"{source or 'environment'}: pbx.ami_ca = {str(pbx.ami_ca)!r}: {reason}") from error
