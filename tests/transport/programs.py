"""Real proxies and servers on loopback: squid, tinyproxy, nginx, mitmproxy, and a small scripted SOCKS server.

A test that needs a program skips where it is missing (`apt-get install squid tinyproxy nginx`; `make networks` installs
mitmproxy).  Each program runs as the current user in a temporary folder, on a free port of loopback, and is stopped at
the end of its block.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Optional
from urllib.parse import quote

import pytest

from ..server import Listener

ROOT = pathlib.Path(__file__).parents[2]
#: Where `make networks` installs mitmproxy.
MITMDUMP = ROOT / "build" / "mitmproxy" / "bin" / "mitmdump"
#: Seconds in which a program has to listen, on a busy machine.
START_SECONDS = 180.0
USER = "me"
#: Its configuration takes letters, digits, - and _ only.
TINYPROXY_PASSWORD = "pass-word-1"
PASSWORD = "p@ss-word-1"


class Program:
    """A program that listens: its port, its folder, and what it has printed so far."""

    def __init__(self, port: int, folder: pathlib.Path, password: str = PASSWORD):
        self.port = port
        self.folder = folder
        self.password = password

    @property
    def url(self) -> str:
        """Return its URL without credentials."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url_with_password(self) -> str:
        """Return its URL with the credentials that it wants."""
        return f"http://{USER}:{quote(self.password, safe='')}@127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """Return what it has printed."""
        return (self.folder / "output").read_text(errors="replace")


def find_program(name: str) -> str:
    """Return the path of a program; skip the test where it is missing."""
    # Servers lie in folders that a user's PATH may leave out.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def free_port() -> int:
    """Return a port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def temporary_folder() -> Iterator[pathlib.Path]:
    """Yield a folder that other users may enter: a server started by root reads its files as another user."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rawchat-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(command: Sequence[object], port: int, folder: pathlib.Path) -> Iterator[Program]:
    """Run a program until the block ends; it has to listen on `port` first."""
    words = [str(word) for word in command]
    with (
        open(folder / "output", "wb") as output,
        subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder
        ) as process,
    ):
        program = Program(port, folder)
        try:
            wait_until_it_listens(process, program)
            yield program
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until_it_listens(process: "subprocess.Popen[bytes]", program: Program) -> None:
    """Return as soon as the program accepts connections; fail with its output if it never does."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", program.port), 1).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"{process.args!r} does not listen: {program.output}")


# ---- forward proxies

SQUID = """http_port 127.0.0.1:{port}
visible_hostname proxy.test
hosts_file {folder}/hosts
pid_filename none
cache deny all
cache_mem 4 MB
access_log none
cache_log stdio:/dev/null
coredump_dir {folder}
connect_timeout 2 seconds
forward_timeout 2 seconds
shutdown_lifetime 0 seconds
{access}
http_access allow localhost
http_access deny all
"""
SQUID_PASSWORD = """auth_param basic program /bin/sh {folder}/check
auth_param basic realm proxy
acl known proxy_auth REQUIRED
http_access deny !known
"""
# Squid passes both on one line.
CHECK = f"""while read line; do
  if [ "$line" = "{USER} {PASSWORD}" ]; then echo OK; else echo ERR; fi
done
"""


@contextlib.contextmanager
def squid(password: bool = False, denied: str = "") -> Iterator[Program]:
    """Run Squid; it knows `model.test` as this machine.

    `password`: it wants USER and PASSWORD.  `denied` is a host that it refuses.
    """
    program = find_program("squid")
    with temporary_folder() as folder:
        port = free_port()
        (folder / "hosts").write_text("127.0.0.1 localhost model.test denied.test\n")
        (folder / "check").write_text(CHECK)
        access = SQUID_PASSWORD.format(folder=folder) if password else ""
        if denied:
            access += f"acl denied dstdomain {denied}\nhttp_access deny denied\n"
        text = SQUID.format(port=port, folder=folder, access=access)
        (folder / "squid.conf").write_text(text)
        command = [program, "-N", "-f", folder / "squid.conf"]
        with running(command, port, folder) as squid_program:
            yield squid_program


@contextlib.contextmanager
def tinyproxy(password: bool = False, denied: str = "") -> Iterator[Program]:
    """Run Tinyproxy; `password`: it wants USER and PASSWORD.  `denied` is a host that it refuses."""
    program = find_program("tinyproxy")
    with temporary_folder() as folder:
        port = free_port()
        lines = [f"Port {port}", "Listen 127.0.0.1", "Allow 127.0.0.1", "Timeout 60"]
        if password:
            lines.append(f"BasicAuth {USER} {TINYPROXY_PASSWORD}")
        if denied:
            (folder / "filter").write_text(f"{denied}\n")
            lines.append(f'Filter "{folder}/filter"')
        (folder / "tinyproxy.conf").write_text("\n".join([*lines, ""]))
        command = [program, "-d", "-c", folder / "tinyproxy.conf"]
        with running(command, port, folder) as tiny_program:
            tiny_program.password = TINYPROXY_PASSWORD
            yield tiny_program


@contextlib.contextmanager
def mitmproxy(password: bool = False) -> Iterator[tuple[Program, str]]:
    """Run mitmproxy, which inspects TLS; yield it with the path of its CA certificate."""
    if not MITMDUMP.exists():
        pytest.skip("mitmproxy is not installed: make networks does so")
    with temporary_folder() as folder:
        port = free_port()
        command: list[object] = [MITMDUMP, "--quiet", "--listen-host", "127.0.0.1"]
        # The server behind it has a certificate of the tests' own authority.
        command += ["--listen-port", port, "--set", f"confdir={folder}", "--ssl-insecure"]
        if password:
            command += ["--proxyauth", f"{USER}:{PASSWORD}"]
        with running(command, port, folder) as program:
            yield program, str(folder / "mitmproxy-ca-cert.pem")


# ---- a server in front

NGINX = """daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {settings}
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            {location}
        }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(upstream: int, location: str = "", settings: str = "") -> Iterator[Program]:
    """Run nginx in front of the server on port `upstream`; `location` and `settings` are lines of its configuration."""
    program = find_program("nginx")
    with temporary_folder() as folder:
        port = free_port()
        text = NGINX.format(
            port=port, folder=folder, upstream=upstream, location=location, settings=settings
        )
        (folder / "nginx.conf").write_text(text)
        command = [program, "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"]
        with running(command, port, folder) as nginx_program:
            yield nginx_program


#: The proxies that a test may go through.
PROXIES = {"squid": squid, "tinyproxy": tinyproxy}


@pytest.fixture(params=sorted(PROXIES), scope="module")
def proxy(request: pytest.FixtureRequest) -> Iterator[Program]:
    """A real proxy without a password, which refuses denied.test."""
    with PROXIES[request.param](denied="denied.test") as program:
        yield program


@pytest.fixture(params=sorted(PROXIES), scope="module")
def guarded(request: pytest.FixtureRequest) -> Iterator[Program]:
    """A real proxy that wants user and password."""
    with PROXIES[request.param](password=True) as program:
        yield program


# ---- SOCKS


class SocksServer(Listener):
    """A SOCKS5 server (RFC 1928, 1929) that connects to the ports in `routes`, by the name asked for."""

    def __init__(self, routes: dict[str, int], password: bool = False):
        super().__init__()
        self.routes = routes
        self.password = password
        #: The hosts that were asked for.
        self.hosts: list[str] = []

    def serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, EOFError):
            if not self._greet(connection):
                connection.close()
                return
            target = self._connect(connection)
            if target is None:
                connection.close()
                return
            self._open.append(target)
            threading.Thread(target=pass_on, args=[target, connection], daemon=True).start()
            pass_on(connection, target)

    def _greet(self, connection: socket.socket) -> bool:
        """Agree on a method, and check the password; return whether the client may go on."""
        _, count = receive(connection, 2)
        methods = receive(connection, count)
        method = 2 if self.password else 0
        if method not in methods:
            connection.sendall(b"\x05\xff")
            return False
        connection.sendall(bytes([5, method]))
        if not self.password:
            return True
        receive(connection, 1)
        user = receive(connection, receive(connection, 1)[0])
        secret = receive(connection, receive(connection, 1)[0])
        right = (user, secret) == (USER.encode(), PASSWORD.encode())
        connection.sendall(b"\x01\x00" if right else b"\x01\x01")
        return right

    def _connect(self, connection: socket.socket) -> Optional[socket.socket]:
        """Open the connection that the client asks for; None, with the SOCKS error sent, where there is no route."""
        kind = receive(connection, 4)[3]
        if kind == 3:
            host = receive(connection, receive(connection, 1)[0]).decode()
        else:
            host = socket.inet_ntoa(receive(connection, 4))
        (port,) = struct.unpack("!H", receive(connection, 2))
        self.hosts.append(host)
        answer = b"\x00\x01\x7f\x00\x00\x01\x00\x00"
        try:
            target = socket.create_connection(("127.0.0.1", self.routes.get(host, port)), 5)
        except OSError:
            connection.sendall(b"\x05\x05" + answer)  # connection refused
            return None
        connection.sendall(b"\x05\x00" + answer)
        return target


def receive(connection: socket.socket, count: int) -> bytes:
    """Return exactly `count` bytes; raise EOFError where the connection ends before."""
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Send on all that comes, and the end of it."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
