"""The TLS handshake, verified as rawchat does it; and without verification, to look at a certificate."""

import os.path
import socket
import ssl
from typing import NamedTuple

from .certificate import Certificate, parse
from .sockets import StepError, cut_off, describe

# OpenSSL's verify codes (x509_vfy.h) that say what to do.
VERIFY_CAUSES = {
    9: "certificate-not-yet-valid",
    10: "certificate-expired",
    18: "certificate-self-signed",
    19: "certificate-unknown-ca",
    20: "certificate-unknown-ca",
    21: "certificate-unknown-ca",
    62: "certificate-wrong-host",
    64: "certificate-wrong-host",
}
# OpenSSL's codes for what RFC 5280 forbids and only VERIFY_X509_STRICT checks, which is on from Python 3.13.
STRICT_CODES = range(79, 95)
NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")


class Secured(NamedTuple):
    """A socket under TLS, and what the handshake showed."""

    sock: ssl.SSLSocket
    version: str
    certificate: Certificate


def secure(sock: socket.socket, host: str, ca_bundle: str, timeout: float) -> Secured:
    """Return `sock` under TLS, its certificate verified as rawchat does.

    `ca_bundle` is a file or a folder of certificates; '' is the operating system's store.
    """
    try:
        context = trust(ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise StepError("ca-bundle", f"{ca_bundle}: {describe(error)}") from None
    return _handshake(sock, host, context, timeout)


def trust(ca_bundle: str) -> ssl.SSLContext:
    """Return the TLS settings that trust the certificates of a file, of a folder, or of the system ('')."""
    if not ca_bundle:
        return ssl.create_default_context()
    if os.path.isdir(ca_bundle):
        return ssl.create_default_context(capath=ca_bundle)
    return ssl.create_default_context(cafile=ca_bundle)


def _handshake(sock: socket.socket, host: str, context: ssl.SSLContext, timeout: float) -> Secured:
    """Return `sock` under TLS; a handshake that fails closes it."""
    try:
        secured = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    except (OSError, ValueError) as error:
        raise StepError("tls-closed", f"{describe(error)} before the TLS handshake") from None
    try:
        with cut_off(secured, timeout):
            secured.do_handshake()
    except OSError as error:
        secured.close()
        raise _handshake_error(error, timeout) from None
    der = secured.getpeercert(True) or b""
    return Secured(secured, secured.version() or "TLS", parse(der))


def _handshake_error(error: OSError, timeout: float) -> StepError:
    """Return the step's error for one of `ssl` or of the socket."""
    if isinstance(error, ssl.SSLCertVerificationError):
        cause = VERIFY_CAUSES.get(error.verify_code, "certificate-refused")
        if error.verify_code in STRICT_CODES:
            cause = "certificate-not-strict"
        return StepError(cause, error.verify_message or str(error))
    if isinstance(error, (TimeoutError, socket.timeout)):
        return StepError("tls-silent", f"no answer to the TLS handshake for {timeout:g} s")
    if isinstance(error, ssl.SSLEOFError):
        return StepError("tls-closed", "the connection was closed during the TLS handshake")
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or error)
        cause = "plain-on-tls-port" if reason in NOT_TLS else "tls-failed"
        return StepError(cause, readable(reason))
    return StepError("tls-closed", f"{describe(error)} during the TLS handshake")


def inspect(sock: socket.socket, host: str, timeout: float) -> Secured:
    """Return `sock` under TLS without verification, to look at a certificate that is not trusted.

    Nothing secret may be sent over it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _handshake(sock, host, context, timeout)


def readable(reason: str) -> str:
    """Return OpenSSL's name of an error in words: WRONG_VERSION_NUMBER -> wrong version number."""
    return reason.replace("_", " ").lower()
