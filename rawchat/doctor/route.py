"""The connection to the server, through its proxy if it has one; and what explains a connection that fails.

    resolve → connect → proxy → TLS

A route remembers the addresses, so that the later steps can open connections of their own.
"""

import ssl
import time
from collections.abc import Mapping
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

from .certificate import Certificate
from .plan import Plan
from .responses import build_request, parse_date, show_date
from .settings import add_brackets, is_loopback
from .sockets import StepError
from .steps import Address, Answer

RENEWAL = 14 * 86400.0  #: a certificate that expires sooner than this is reported, in seconds
ONE_LOOK = 3.0  #: seconds for a look at a port that is only to explain a failure
UNTRUSTED = ("certificate-unknown-ca", "certificate-self-signed", "certificate-refused")
OUT_OF_TIME = ("certificate-expired", "certificate-not-yet-valid")


class Route:
    """The way to one server, as far as TLS.  `network` is the module `steps`, or its stand-in."""

    def __init__(self, plan: Plan, network: Any, now: Callable[[], float]):
        self.plan = plan
        self._network = network
        self._now = now
        self._addresses: list[Address] = []
        # The open connection, from one step to the next.
        self._sock: Any = None
        #: The product that inspects TLS on the way, or "".
        self.inspector = ""

    # ---- the steps

    def resolve(self) -> str:
        """Resolve the name of the first stop."""
        host, port = self.plan.first_stop
        self._addresses = self._network.resolve(host, port)
        shown = list(dict.fromkeys(str(each[4][0]) for each in self._addresses))
        who = "the proxy " if self.plan.proxy else ""
        if shown == [host]:
            return f"{who}{host} is an address"
        return f"{who}{host} is {', '.join(shown)}"

    def connect(self) -> str:
        """Open a TCP connection to the first stop."""
        try:
            self._sock = self._network.connect(self._addresses, self.plan.timeout)
        except StepError as error:
            raise self._explain_connect(error) from None
        host, port = self._sock.getpeername()[:2]
        return f"{add_brackets(host)}:{port}"

    def _explain_connect(self, error: StepError) -> StepError:
        """Return the error with the cause that fits: a proxy that is down, a server on the other family."""
        if self.plan.proxy:
            detail = f"the proxy does not accept the connection ({error.detail})"
            return StepError("proxy-down", detail)
        target = self.plan.target
        if error.cause != "refused" or not is_loopback(target.host):
            return error
        tried = {str(each[4][0]) for each in self._addresses}
        for other in ("127.0.0.1", "::1"):
            if other in tried or not self._network.accepts(other, target.port, self._one_look):
                continue
            place = f"{add_brackets(other)}:{target.port}"
            url = f"{target.scheme}://{place}{urlsplit(self.plan.base_url).path}"
            detail = f"{error.detail}, but {place} accepts connections"
            return StepError("refused-other-family", detail, other=other, other_url=url)
        return error

    def pass_proxy(self) -> str:
        """Let the proxy open a tunnel to the server."""
        proxy, target = self.plan.proxy, self.plan.target
        assert proxy
        if self.plan.is_socks:
            # PySocks makes its own connection.
            self.close()
        else:
            self._secure_proxy()
        self._enter_tunnel()
        return f"{proxy.shown} opens a tunnel to {add_brackets(target.host)}:{target.port}"

    def _secure_proxy(self) -> None:
        """Put TLS on the connection to a proxy whose URL is https://."""
        plan, proxy = self.plan, self.plan.proxy
        if proxy and proxy.scheme == "https":
            try:
                secured = self._network.secure(self._sock, proxy.host, plan.ca_bundle, plan.timeout)
            except StepError as error:
                raise self._explain_proxy_tls(error) from None
            self._sock = secured.sock

    def _explain_proxy_tls(self, error: StepError) -> StepError:
        """Return the error of a handshake with the proxy: its remedy is not that of a server's."""
        if error.cause.startswith("certificate-"):
            return StepError("proxy-certificate", error.detail)
        if error.cause == "ca-bundle":
            error.fields["source"] = self.plan.sources["CA bundle"]
            return error
        return StepError("proxy-no-tls", error.detail)

    def _enter_tunnel(self) -> None:
        plan, proxy, target = self.plan, self.plan.proxy, self.plan.target
        assert proxy
        if self.plan.is_socks:
            parts = proxy._asdict()
            self._sock = self._network.connect_socks(parts, target.host, target.port, plan.timeout)
        else:
            self._network.tunnel(
                self._sock, target.host, target.port, proxy.credentials, plan.timeout
            )

    def secure(self) -> str:
        """Put TLS on the connection to the server, and look at its certificate."""
        plan = self.plan
        try:
            secured = self._network.secure(
                self._sock, plan.target.host, plan.ca_bundle, plan.timeout
            )
        except StepError as error:
            if error.cause.startswith("certificate-"):
                raise self._explain_certificate(error) from None
            if error.cause == "ca-bundle":
                error.fields["source"] = plan.sources["CA bundle"]
            elif self._speaks_http():
                detail = f"{error.detail}; the port speaks HTTP without TLS"
                raise StepError("plain-on-tls-port", detail) from None
            raise
        self._sock = secured.sock
        certificate = secured.certificate
        self.inspector = certificate.inspector
        detail = f"{secured.version}, {self._describe(certificate)}"
        if self.inspector:
            detail += f"; {self.inspector} inspects the connection, and is trusted"
        if certificate.not_after - self._now() < RENEWAL:
            detail += "; it expires soon"
        return detail

    def _describe(self, certificate: Certificate) -> str:
        end = time.strftime("%Y-%m-%d", time.gmtime(certificate.not_after))
        verb = "expires" if certificate.not_after > self._now() else "expired"
        issuer = certificate.issuer or "nobody"
        if certificate.self_signed:
            issuer = "itself"
        return f"issued by {issuer}, {verb} {end}"

    def _explain_certificate(self, error: StepError) -> StepError:
        """Return the error with what the certificate says, read over a connection that is not verified."""
        plan = self.plan
        try:
            self._reopen()
            secured = self._network.inspect(self._sock, plan.target.host, plan.timeout)
            self._sock = secured.sock
        except StepError:
            return error
        certificate = secured.certificate
        names = ", ".join(certificate.names[:5]) or certificate.subject
        about = f"{secured.version}, {self._describe(certificate)}, valid for {names}"
        detail = f"{error.detail}: {about}"
        fields = {
            "names": names,
            "issuer": certificate.issuer,
            "inspector": certificate.inspector,
        }
        cause = error.cause
        if cause in OUT_OF_TIME:
            served = self._server_time()
            if served and certificate.not_before <= served <= certificate.not_after:
                cause = "certificate-clock"
                here = show_date(self._now())
                detail += f"; the server's clock says {show_date(served)}, this machine's {here}"
        elif cause in UNTRUSTED:
            if certificate.inspector:
                cause = "certificate-inspected"
                detail += f"; this looks like {certificate.inspector}, which inspects TLS"
            if plan.ca_bundle and self._system_trusts():
                cause = "certificate-system"
                paths = ssl.get_default_verify_paths()
                fields["system_bundle"] = paths.cafile or paths.openssl_cafile
        return StepError(cause, detail, **fields)

    def _server_time(self) -> Optional[float]:
        """Return the time that the server's Date header says; the request holds no key."""
        request = build_request("HEAD", f"{self.plan.target.origin}/", {}, None, False, "")
        try:
            answer = self._network.exchange(self._sock, request, self.plan.timeout)
        except StepError:
            return None
        return parse_date(answer.headers.get("date"))

    def _system_trusts(self) -> bool:
        """Return whether the operating system's store trusts the certificate."""
        plan = self.plan
        try:
            self._reopen()
            secured = self._network.secure(self._sock, plan.target.host, "", plan.timeout)
        except StepError:
            return False
        self._sock = secured.sock
        return True

    def _speaks_http(self) -> bool:
        """Return whether the port answers a plain HTTP request; it holds no key."""
        request = build_request("HEAD", f"{self.plan.target.origin}/", {}, None, False, "")
        try:
            self._reopen()
            self._network.exchange(self._sock, request, self._one_look)
        except StepError:
            return False
        finally:
            self.close()
        return True

    # ---- for the steps that follow

    @property
    def _one_look(self) -> float:
        """Return the bound on a look at a port that is only to explain a failure."""
        return min(self.plan.timeout, ONE_LOOK)

    def _reopen(self) -> None:
        """Open a new connection, as far as TLS, by the steps that are known to work."""
        self.close()
        if self.plan.is_socks:
            self._enter_tunnel()
            return
        self._sock = self._network.connect(self._addresses, self.plan.timeout)
        self._secure_proxy()
        if self.plan.proxy and self.plan.is_secure:
            self._enter_tunnel()

    def close(self) -> None:
        """Close the connection, if one is open."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def ask(
        self,
        url: str,
        method: str,
        headers: Mapping[str, str],
        body: Optional[bytes] = None,
        timeout: Optional[float] = None,
    ) -> Answer:
        """Send one request over the connection that the steps have opened, or over a new one.

        `timeout` is the bound on the exchange in seconds; None is the plan's.
        """
        plan, proxy = self.plan, self.plan.proxy
        if self._sock is None:
            self._reopen()
            if self.plan.is_secure:
                secured = self._network.secure(
                    self._sock, plan.target.host, plan.ca_bundle, plan.timeout
                )
                self._sock = secured.sock
        elif self.plan.is_forwarded:
            self._secure_proxy()
        credentials = ""
        if proxy and self.plan.is_forwarded:
            credentials = proxy.credentials
        request = build_request(method, url, headers, body, self.plan.is_forwarded, credentials)
        try:
            answer: Answer = self._network.exchange(self._sock, request, timeout or plan.timeout)
        finally:
            self.close()
        return answer

    def speaks_tls(self) -> bool:
        """Return whether the port speaks TLS, whatever its certificate is worth."""
        try:
            self._reopen()
            host = self.plan.target.host
            self._sock = self._network.inspect(self._sock, host, self._one_look).sock
        except StepError:
            return False
        finally:
            self.close()
        return True
