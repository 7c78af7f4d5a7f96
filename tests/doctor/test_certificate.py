"""What is read of a certificate, from its bytes."""

import base64
import calendar
import contextlib

import pytest

from rawchat.doctor.certificate import INSPECTORS, Certificate, parse

DER = base64.b64decode("""
MIIB8DCCAZagAwIBAgIUMC1Va+pYpoQb1QfDwBDlWYAcWoswCgYIKoZIzj0EAwIwMTEVMBMGA1UECgwMWnNjYWxlciBJbmMu
MRgwFgYDVQQDDA9ac2NhbGVyIFJvb3QgQ0EwIBcNMjYxMTI1MDE1MzAwWhgPMjA1NDA0MTIwMTUzMDBaMDExFTATBgNVBAoM
DFpzY2FsZXIgSW5jLjEYMBYGA1UEAwwPWnNjYWxlciBSb290IENBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYo6zVfrJ
Iq7wC7gAqh6JwiFIA0Swu7U8U0iqGBp9vMFQKMQmRUHggzzvcFIvapbZeQQTJo31XNcZ7kcmX9FEVqOBiTCBhjAdBgNVHQ4E
FgQUU38RmGjmecYVaFwM2ixxMJfUK9UwHwYDVR0jBBgwFoAUU38RmGjmecYVaFwM2ixxMJfUK9UwDwYDVR0TAQH/BAUwAwEB
/zAzBgNVHREELDAqggZhLnRlc3SCCCouYi50ZXN0hwR/AAABhxAAAAAAAAAAAAAAAAAAAAABMAoGCCqGSM49BAMCA0gAMEUC
IESh9bHpg3zxSu2FM0muoxvDB0KaFaoZZKE/FaFQhKD6AiEAifudcTemM6rlkJeMda69PTMUibSHX8h00BlaS58IxEk=
""")


def test_the_fields_of_a_certificate() -> None:
    certificate = parse(DER)
    assert certificate.subject == certificate.issuer == "Zscaler Root CA, Zscaler Inc."
    assert certificate.not_before == calendar.timegm((2026, 11, 25, 1, 53, 0))  # a UTCTime
    assert certificate.not_after == calendar.timegm((2054, 4, 12, 1, 53, 0))  # a GeneralizedTime
    assert certificate.names == ("a.test", "*.b.test", "127.0.0.1", "::1")
    assert certificate.self_signed
    assert certificate.inspector == "Zscaler"


@pytest.mark.parametrize("size", [0, 1, 2, 5, 60, 200, 300])
def test_a_cut_certificate_is_a_value_error(size: int) -> None:
    with pytest.raises(ValueError, match="not a certificate"):
        parse(DER[:size])


def test_any_byte_may_be_wrong_and_nothing_but_a_value_error_comes_of_it() -> None:
    for at in range(len(DER)):
        for wrong in (0, 0x7F, 0xFF):
            with contextlib.suppress(ValueError):
                parse(DER[:at] + bytes([wrong]) + DER[at + 1 :])


@pytest.mark.parametrize(
    ("issuer", "product"),
    [
        ("mitmproxy, mitmproxy", "mitmproxy"),
        ("Zscaler Intermediate Root CA (zscaler.net), Zscaler Inc.", "Zscaler"),
        ("ca.acme.goskope.com, Netskope Inc", "Netskope"),
        ("FG100E4Q16000000, Fortinet", "Fortinet"),
        ("Palo Alto Networks Decryption", "Palo Alto Networks"),
        ("BlueCoat ProxySG", "Blue Coat"),
        ("Cisco Umbrella Secondary SubCA, Cisco", "Cisco Umbrella"),
        ("proxy.corp Squid CA", "Squid"),
        ("GTS CA 1P5, Google Trust Services LLC", ""),
        ("R3, Let's Encrypt", ""),
        ("DigiCert TLS RSA SHA256 2020 CA1, DigiCert Inc", ""),
        ("Example Root, Example", ""),
    ],
)
def test_issuers_that_inspect(issuer: str, product: str) -> None:
    assert Certificate("s", issuer, 0, 0, ()).inspector == product


def test_products_have_names() -> None:
    assert all(INSPECTORS.values())
