"""Turn the exceptions of requests, urllib3, http.client and the socket into ours, each with its cause and a hint."""

import re
import socket
import sys
from collections.abc import Iterator
from http.client import HTTPException
from types import TracebackType
from typing import Optional

import requests
import urllib3

from ..deadline import Deadline
from ..errors import (
    DOCTOR,
    APIConnectionError,
    APITimeoutError,
    ConfigError,
    DeadlineExceededError,
    RawchatError,
    one_line,
)
from ..keys.redaction import redact_error
from ..urls import origin
from ..wire import Request

#: socket.timeout is TimeoutError itself from Python 3.10 on.
TIMEOUT_ERRORS = (
    TimeoutError,
    socket.timeout,
    requests.Timeout,
    urllib3.exceptions.TimeoutError,
)

#: What requests (whose exceptions are OSErrors), urllib3, http.client and the socket raise.  http.client raises
#: ValueError for some bad chunk sizes.
NETWORK_ERRORS = (
    DeadlineExceededError,
    urllib3.exceptions.HTTPError,
    HTTPException,
    OSError,
    ValueError,
)

#: OpenSSL's reasons for a response that is not TLS; it calls plain HTTP a wrong version, or a bad record.
NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"}

#: urllib3 2 makes a failed handshake with a proxy a ProxyError; 1.26 does not say whether it was that with the server.
KNOWS_WHICH_HANDSHAKE = hasattr(urllib3.connection.HTTPConnection, "has_connected_to_proxy")

PATCHED_LATE = (
    "TLS does not work in this process: gevent or eventlet has patched it after ssl was imported; call "
    "monkey.patch_all(), or eventlet.monkey_patch(), before any other import"
)

#: The start of a TLS alert (RFC 8446, 5.1), which http.client cites as a bad status line.
TLS_RECORD = re.compile(r"^(?:\x15\x03|\\x15\\x03)")

#: The line of CPython's source, which its errors of TLS begin or end with.
SOURCE_LINE = re.compile(r"^_ssl\.c:\d+: | \(_ssl\.c:\d+\)$")


class TranslateErrors:
    """A context manager that raises our exception in place of one of requests, urllib3, http.client or the socket."""

    def __init__(self, request: Request, deadline: Deadline, proxy: str = ""):
        self._request = request
        self._deadline = deadline
        self._proxy = proxy

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        failure: RawchatError
        if isinstance(error, NETWORK_ERRORS):
            failure = translate_error(error, self._request, self._deadline, self._proxy)
        elif isinstance(error, RecursionError) and patched_late():
            failure = ConfigError(PATCHED_LATE)
        elif isinstance(error, RawchatError):
            # Of a file that changed while it was sent.  The frames in between hold the headers, and so the key.
            failure = error.with_traceback(None)
        else:
            return
        del error, traceback
        try:
            raise failure
        finally:
            # The frames of the exception in there hold the key: a reporter that prints variables would show it.
            failure.__context__ = None


def patched_late() -> bool:
    """Return True if gevent or eventlet has replaced `ssl.SSLContext` after urllib3 had imported it.

    The replacement then calls itself without end (gevent issue 1016).
    """
    ssl = sys.modules.get("ssl")
    urllib3_ssl = sys.modules.get("urllib3.util.ssl_")
    if ssl is None or urllib3_ssl is None:
        return False
    return getattr(urllib3_ssl, "SSLContext", None) is not getattr(ssl, "SSLContext", None)


def translate_error(
    error: BaseException, request: Request, deadline: Deadline, proxy: str = ""
) -> APIConnectionError:
    """Return our exception for one of the network's; its cause is the first one in their chain."""
    if deadline.has_expired():
        return deadline.error()
    cause = first_cause(error)
    reason = one_line(getattr(cause, "strerror", None) or str(cause) or type(cause).__name__)
    reason = SOURCE_LINE.sub("", reason)
    kind: type[APIConnectionError] = APIConnectionError
    if isinstance(error, TIMEOUT_ERRORS) or isinstance(cause, TIMEOUT_ERRORS):
        kind = APITimeoutError
    if proxy and is_proxy_error(error, cause, request.url, proxy):
        from .proxy_pages import proxy_failure

        reason = reason.replace("Tunnel connection failed: ", "")
        failure = proxy_failure(proxy, reason, request, kind)
        explain_proxy(failure, cause)
    else:
        _, host, port = origin(request.url)
        failure = kind(f"{host}:{port}: {reason} ({request.summary})")
        explain(failure, cause, host)
    failure.__cause__ = cause.with_traceback(None)  # its frames hold the headers, and so the key
    if proxy:
        from .proxy_pages import proxy_secrets

        redact_error(proxy_secrets(proxy), failure)
    return failure


def is_proxy_error(error: BaseException, cause: BaseException, url: str, proxy: str) -> bool:
    """Return True if the proxy failed, not the server behind it."""
    if origin(proxy)[0] == "https" and is_tls_error(cause):
        if origin(url)[0] == "http":
            # No handshake but that with the proxy.
            return True
        if not hasattr(cause, "verify_code") and not KNOWS_WHICH_HANDSHAKE:
            # A wrong scheme in the proxy's URL is the common fault.
            return True
    elif isinstance(cause, TIMEOUT_ERRORS):
        return False
    if isinstance(error, (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)):
        return True
    # urllib3 reports a failure of SOCKS as one of the connection; the refused socket is the cause of PySocks' error.
    return any(type(each).__module__ == "socks" for each in causes(error))


def explain(failure: APIConnectionError, cause: BaseException, host: str) -> None:
    """Give `failure` the hint that fits its cause, and say if another attempt would fail alike."""
    reason = str(getattr(cause, "reason", ""))
    if hasattr(cause, "verify_code"):
        failure.permanent = True
        failure.hint = (
            "the certificate is not trusted: name the CA of your company or server with ca_bundle= or "
            f"SSL_CERT_FILE, or take the system's with ca_bundle='system'; {DOCTOR}"
        )
    elif reason in NOT_TLS:
        failure.permanent = True
        failure.hint = f"the port does not speak TLS: http:// may be meant; {DOCTOR}"
    elif TLS_RECORD.search(str(cause)):
        failure.permanent = True
        failure.hint = f"the port speaks TLS, not plain HTTP: https:// may be meant; {DOCTOR}"
    elif is_handshake(cause):
        # The server may also be slow: the next attempt may succeed.
        failure.hint = (
            "the port may not speak TLS: http:// may be meant; if it does, a larger timeout may help; "
            + DOCTOR
        )
    elif isinstance(cause, ConnectionRefusedError):
        failure.hint = f"is the server running, and is this its port? {DOCTOR}"
    elif isinstance(cause, socket.gaierror):
        failure.hint = f"the name {host} was not resolved: check base_url and DNS; {DOCTOR}"


def explain_proxy(failure: APIConnectionError, cause: BaseException) -> None:
    """Give the failure of a handshake with a proxy whose URL begins with https:// the hint that fits its cause.

    Most proxies speak plain HTTP to the client, for servers with https:// too (encode/httpx#951, #897, #2272).
    """
    advice = "begin its URL with http://, for https:// servers too"
    if hasattr(cause, "verify_code"):
        failure.permanent = True
        failure.hint = (
            "the certificate of the proxy is not trusted: name its CA with ca_bundle= or SSL_CERT_FILE; "
            f"{DOCTOR}"
        )
    elif str(getattr(cause, "reason", "")) in NOT_TLS:
        failure.permanent = True
        failure.hint = f"the proxy does not speak TLS: {advice}; {DOCTOR}"
    elif is_handshake(cause):
        failure.hint = f"the proxy may not speak TLS: {advice}; {DOCTOR}"


def is_tls_error(cause: BaseException) -> bool:
    """Return True if a handshake of TLS failed, as far as `explain` knows."""
    is_refused = hasattr(cause, "verify_code") or getattr(cause, "reason", None) in NOT_TLS
    return is_refused or is_handshake(cause)


def is_handshake(cause: BaseException) -> bool:
    """Return True if the handshake of TLS was not answered in time."""
    return isinstance(cause, TIMEOUT_ERRORS) and "handshake" in str(cause)


def first_cause(error: BaseException) -> BaseException:
    """Return the exception that `error` goes back to."""
    *_, first = causes(error)
    return first


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, what caused it, and so on."""
    seen: list[BaseException] = []
    earlier: Optional[BaseException] = error
    while earlier is not None and earlier not in seen:
        yield earlier
        seen.append(earlier)
        earlier = cause_of(earlier)


def cause_of(error: BaseException) -> Optional[BaseException]:
    """Return what caused `error`; None if nothing did."""
    if error.__cause__ is not None:
        return error.__cause__
    if error.__context__ is not None and not error.__suppress_context__:
        return error.__context__
    # On the way through a proxy, urllib3 wraps an error of TLS without naming it as the cause.
    if error.args and isinstance(error.args[0], BaseException):
        return error.args[0]
    return None
