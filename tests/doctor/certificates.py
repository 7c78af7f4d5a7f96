"""Certificates for TLS servers on loopback, made by the openssl command; tests that need them skip without it."""

import pathlib
import ssl
import subprocess
from typing import Optional

import pytest

NAME = "api.example.test"
CONFIG = """[ca]
default_ca = here
[here]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
organizationName = optional
"""
EXTENSIONS = """subjectAltName={names}
basicConstraints=CA:FALSE
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""
NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Authority:
    """A certificate authority in a folder of its own; `path` is the file that makes it trusted."""

    def __init__(
        self, folder: pathlib.Path, name: str = "Example Root", organization: str = "Example"
    ):
        self._folder = folder
        folder.mkdir(parents=True)
        self.path = str(folder / "ca.pem")
        (folder / "index.txt").write_text("")
        (folder / "serial").write_text("1000\n")
        (folder / "ca.cnf").write_text(CONFIG.format(folder=folder))
        subject = f"/O={organization}/CN={name}"
        where = ["-keyout", folder / "ca.key", "-out", self.path]
        # Python 3.13 refuses an authority without it (VERIFY_X509_STRICT).
        usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        openssl("req", "-x509", *NEW_KEY, "-days", "3650", "-subj", subject, *usage, *where)

    def issue(
        self,
        names: str = f"DNS:{NAME}",
        start: str = "",
        end: str = "20990101000000Z",
        extensions: str = EXTENSIONS,
    ) -> ssl.SSLContext:
        """Return the settings of a server with a certificate for `names`, valid from `start` to `end`."""
        folder = self._folder
        key, request, leaf, extra = (
            folder / name for name in ("leaf.key", "leaf.csr", "leaf.pem", "leaf.cnf")
        )
        extra.write_text(extensions.format(names=names))
        openssl("req", "-new", *NEW_KEY, "-subj", f"/CN={NAME}", "-keyout", key, "-out", request)
        dates = ["-startdate", start or "20200101000000Z", "-enddate", end]
        where = ["-config", folder / "ca.cnf", "-extfile", extra, "-in", request, "-out", leaf]
        openssl("ca", "-batch", "-notext", *dates, *where)
        return server_context(leaf, key)


def self_signed(folder: pathlib.Path) -> ssl.SSLContext:
    """Return the settings of a server whose certificate is signed by nobody but itself."""
    folder.mkdir(parents=True)
    key, leaf = folder / "self.key", folder / "self.pem"
    names = [
        "-addext",
        f"subjectAltName=DNS:{NAME}",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]
    openssl(
        "req",
        "-x509",
        *NEW_KEY,
        "-days",
        "3650",
        "-subj",
        f"/CN={NAME}",
        *names,
        "-keyout",
        key,
        "-out",
        leaf,
    )
    return server_context(leaf, key)


def server_context(certificate: pathlib.Path, key: pathlib.Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(certificate), str(key))
    return context


def openssl(*words: object, input: Optional[bytes] = None) -> None:
    """Run the openssl command; skip the test where it is missing."""
    try:
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, input=input)
    except FileNotFoundError:
        pytest.skip("the openssl command is not installed")
    assert done.returncode == 0, done.stderr.decode()
