"""Read the few fields of a TLS certificate that explain why it is not trusted.

`ssl.SSLSocket.getpeercert()` gives no fields of a certificate that was not verified, and those are the ones that
a person has to see.  The bytes are always there: this reads them (DER, ITU-T X.690; fields of RFC 5280, 4.1).
"""

import calendar
import ipaddress
import time
from collections.abc import Iterator
from typing import NamedTuple

SEQUENCE, OID, UTC_TIME, GENERALIZED_TIME = 0x30, 0x06, 0x17, 0x18
EXTENSIONS, DNS_NAME, IP_ADDRESS = 0xA3, 0x82, 0x87
COMMON_NAME, ORGANIZATION, UNIT = b"\x55\x04\x03", b"\x55\x04\x0a", b"\x55\x04\x0b"
ALTERNATIVE_NAMES = b"\x55\x1d\x11"  # 2.5.29.17: the names that count (RFC 6125, 6.4.4)

INSPECTORS = {
    "mitmproxy": "mitmproxy",
    "zscaler": "Zscaler",
    "netskope": "Netskope",
    "fortinet": "Fortinet",
    "fortigate": "Fortinet",
    "palo alto": "Palo Alto Networks",
    "blue coat": "Blue Coat",
    "bluecoat": "Blue Coat",
    "symantec web": "Blue Coat",
    "cisco umbrella": "Cisco Umbrella",
    "opendns": "Cisco Umbrella",
    "cisco secure web": "Cisco Secure Web Appliance",
    "squid": "Squid",
    "forcepoint": "Forcepoint",
    "websense": "Forcepoint",
    "sophos": "Sophos",
    "check point": "Check Point",
    "checkpoint": "Check Point",
    "mcafee web": "McAfee Web Gateway",
    "skyhigh": "Skyhigh",
    "barracuda": "Barracuda",
    "sonicwall": "SonicWall",
    "watchguard": "WatchGuard",
    "kaspersky": "Kaspersky",
    "eset ssl": "ESET",
    "avast": "Avast",
    "bitdefender": "Bitdefender",
    "charles proxy": "Charles",
    "fiddler": "Fiddler",
    "burp|portswigger": "Burp",
    "cato networks": "Cato Networks",
    "cloudflare gateway": "Cloudflare Gateway",
    "cloudflare for teams": "Cloudflare Gateway",
    "gateway ca - cloudflare": "Cloudflare Gateway",
}


class Certificate(NamedTuple):
    """The fields of one certificate; times are seconds since 1970."""

    subject: str
    issuer: str
    not_before: float
    not_after: float
    names: tuple[str, ...]  #: host names and addresses that it is valid for

    @property
    def self_signed(self) -> bool:
        """Return whether the certificate names itself as its issuer."""
        return self.subject == self.issuer

    @property
    def inspector(self) -> str:
        """Return the product that inspects TLS and signed this, judged by the issuer's name; '' for none."""
        issuer = self.issuer.lower()
        for name, product in INSPECTORS.items():
            if name in issuer:
                return product
        return ""


def parse(der: bytes) -> Certificate:
    """Return the fields of a certificate.

    Raises ValueError for bytes that are not a certificate.
    """
    try:
        fields = list(_elements(_first(_first(der))))
        if fields[0][0] == 0xA0:  # the version, which may be left out
            fields = fields[1:]
        _, _, issuer, validity, subject = fields[:5]
        not_before, not_after = (_time(tag, value) for tag, value in _elements(validity[1]))
        names: tuple[str, ...] = ()
        for tag, value in fields[6:]:
            if tag == EXTENSIONS:
                names = tuple(_alternative_names(value))
        return Certificate(_name(subject[1]), _name(issuer[1]), not_before, not_after, names)
    except (IndexError, ValueError) as error:
        raise ValueError(f"not a certificate: {error}") from None


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and value of each element in `data` (X.690, 8.1)."""
    at = 0
    while at < len(data):
        tag, size = data[at], data[at + 1]
        at += 2
        if size & 0x80:  # the long form: the size of the size
            count = size & 0x7F
            size = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + size > len(data):
            raise ValueError("cut")
        yield tag, data[at : at + size]
        at += size


def _first(data: bytes) -> bytes:
    """Return the value of the first element, which must be a sequence."""
    for tag, value in _elements(data):
        if tag == SEQUENCE:
            return value
        break
    raise ValueError("no sequence")


def _name(data: bytes) -> str:
    """Return a distinguished name in short: common name, organization; or the unit if both are missing."""
    parts: dict[bytes, str] = {}
    for _, group in _elements(data):
        for _, pair in _elements(group):
            (_, kind), (tag, value) = list(_elements(pair))[:2]
            encoding = "utf-16-be" if tag == 0x1E else "utf-8"
            parts.setdefault(kind, value.decode(encoding, "replace"))
    chosen = [parts[kind] for kind in (COMMON_NAME, ORGANIZATION) if kind in parts]
    if not chosen and UNIT in parts:
        chosen = [parts[UNIT]]
    shown = ", ".join(dict.fromkeys(chosen))
    return "".join(character if character.isprintable() else "?" for character in shown)


def _time(tag: int, value: bytes) -> float:
    """Return a time in seconds since 1970 (RFC 5280, 4.1.2.5: two digits of a year below 50 mean 20xx)."""
    text = value.decode("ascii")
    if tag == UTC_TIME:
        century = "20" if int(text[:2]) < 50 else "19"
        text = century + text
    elif tag != GENERALIZED_TIME:
        raise ValueError("no time")
    return float(calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ")))


def _alternative_names(data: bytes) -> Iterator[str]:
    """Yield the host names and addresses among the extensions."""
    for _, extension in _elements(_first(data)):
        parts = list(_elements(extension))
        if parts[0] != (OID, ALTERNATIVE_NAMES):
            continue
        for tag, value in _elements(_first(parts[-1][1])):
            if tag == DNS_NAME:
                yield value.decode("ascii", "replace")
            elif tag == IP_ADDRESS and len(value) in (4, 16):
                yield str(ipaddress.ip_address(value))
