"""Install each real server into an environment of its own, below build/servers, and run it on loopback."""

import contextlib
import importlib.metadata
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Optional

import rawchat

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "build" / "servers"

#: Seconds that a server has to start: it loads a model, and PyTorch.
MAX_START = 300

#: llama-cpp-python is compiled on one core, so that the machine stays usable; it takes some twelve minutes.
COMPILE = {"CMAKE_BUILD_PARALLEL_LEVEL": "1"}

LITELLM_CONFIG = """\
model_list:
  - model_name: small
    litellm_params:
      model: openai/{model}
      api_base: {base_url}
      api_key: none
"""


class Target(NamedTuple):
    """A server that runs."""

    #: Its name and version.
    title: str
    base_url: str
    model: str
    key: Optional[str] = None
    #: What its source says that it does not do, by the title of the check, which is not tried then.
    lacks: Mapping[str, str] = {}

    def client(self) -> rawchat.Client:
        return rawchat.Client(
            base_url=self.base_url, api_key=self.key or "", model=self.model, environ={}
        )


# ---- environments


def python_with(name: str, *packages: str) -> pathlib.Path:
    """Return the Python of the environment `name`, with these packages; it is made if it is not there."""
    folder = FOLDER / name
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    done = folder / "installed"
    if not done.exists() or done.read_text() != "\n".join(packages):
        print(f"installing {' '.join(packages)} into {folder} (once) ...", file=sys.stderr)
        if not python.exists():
            venv.create(folder, with_pip=True)
        command = [str(python), "-m", "pip", "install", "-q", *packages]
        subprocess.run(command, check=True, env={**os.environ, **COMPILE})
        done.write_text("\n".join(packages))
    return python


def version(python: pathlib.Path, package: str) -> str:
    """Return the name of a package and its version in an environment."""
    code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return f"{package} {found.stdout.strip()}"


def weights() -> pathlib.Path:
    """Return the weights of the embedded model."""
    file = rawchat.local.weights()
    if file is None:
        raise SystemExit(f"the embedded model is not installed: {rawchat.local.INSTALL}")
    return file


# ---- processes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    name: str, argv: Sequence[str], base_url: str, key: str = "", **environ: str
) -> Iterator[None]:
    """Run a server while the block runs; its output goes to build/servers/NAME.log."""
    log = FOLDER / f"{name}.log"
    with (
        open(log, "wb") as output,
        subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environ},
        ) as process,
    ):
        try:
            wait_until_ready(process, f"{base_url}/models", key, log)
            yield
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def wait_until_ready(
    process: "subprocess.Popen[bytes]", url: str, key: str, log: pathlib.Path
) -> None:
    """Return when the server answers; raise RuntimeError if it ends before, or takes longer than MAX_START."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    until = time.monotonic() + MAX_START
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}; see {log}")
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=10):
            return
        time.sleep(1)
    raise RuntimeError(f"the server did not start within {MAX_START} s; see {log}")


# ---- the servers


@contextlib.contextmanager
def embedded() -> Iterator[Target]:
    """Run llama.cpp as `python -m rawchat.local` does."""
    title = f"xllamacpp {importlib.metadata.version('xllamacpp')}"
    with rawchat.local.serve() as base_url:
        yield Target(title, base_url, weights().stem)


@contextlib.contextmanager
def llama_cpp_python() -> Iterator[Target]:
    """Run llama-cpp-python's server, with a chat format that makes tool calls."""
    python = python_with("llama-cpp-python", "llama-cpp-python[server]")
    port = free_port()
    argv = [str(python), "-m", "llama_cpp.server", "--model", str(weights())]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--n_ctx", "2048"]
    argv += ["--model_alias", "small", "--chat_format", "chatml-function-calling"]
    base_url = f"http://127.0.0.1:{port}/v1"
    with running("llama-cpp-python", argv, base_url):
        yield Target(version(python, "llama_cpp_python").replace("_", "-"), base_url, "small")


@contextlib.contextmanager
def litellm_before(upstream: Target) -> Iterator[Target]:
    """Run LiteLLM's proxy in front of another server, with a key."""
    python = python_with("litellm", "litellm[proxy]")
    key = f"sk-{secrets.token_hex(16)}"
    port = free_port()
    config = FOLDER / "litellm.yaml"
    config.write_text(LITELLM_CONFIG.format(model=upstream.model, base_url=upstream.base_url))
    argv = [str(python.with_name("litellm")), "--config", str(config)]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    # The prices of models would be fetched from the network.
    environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": key}
    base_url = f"http://127.0.0.1:{port}/v1"
    with running("litellm", argv, base_url, key, **environ):
        title = f"{version(python, 'litellm')} in front of {upstream.title}"
        yield Target(title, base_url, "small", key)


@contextlib.contextmanager
def litellm() -> Iterator[Target]:
    """Run LiteLLM's proxy in front of the embedded llama.cpp."""
    with embedded() as upstream, litellm_before(upstream) as target:
        yield target


@contextlib.contextmanager
def litellm_before_llama_cpp_python() -> Iterator[Target]:
    """Run LiteLLM's proxy in front of a server that makes tool calls, and refuses null content and json_schema."""
    with llama_cpp_python() as upstream, litellm_before(upstream) as target:
        yield target


CONVERT = """\
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer

source, file, target = sys.argv[1:]
AutoTokenizer.from_pretrained(source, gguf_file=file).save_pretrained(target)
model = AutoModelForCausalLM.from_pretrained(source, gguf_file=file, dtype="float32")
# What is left of the quantization forbids to save the weights, which are plain numbers by now.
model.hf_quantizer = model.quantization_method = None
if hasattr(model.config, "quantization_config"):
    del model.config.quantization_config
model.save_pretrained(target)
"""


#: What transformers/cli/serving does without: it lists `response_format` among the fields that it ignores, and it has no
#: limit for the length of a prompt, so that it computes for many minutes where the others refuse.
TRANSFORMERS_LACKS = {
    "typed answers": "`response_format` is ignored",
    "overflow": "a prompt of any length is taken",
    "overflow, streamed": "a prompt of any length is taken",
    "overflow recovery": "a prompt of any length is taken",
}

#: PyTorch's threads wait for each other by spinning: with as many threads as cores, whatever else runs stops them all, and
#: a call takes twice the time, or minutes.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@contextlib.contextmanager
def transformers() -> Iterator[Target]:
    """Run `transformers serve`, with the embedded model's weights in its own format."""
    python = python_with("transformers", "torch==2.13.0", "transformers[serving]", "gguf")
    offline = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "TQDM_DISABLE": "1"}
    model = FOLDER / "smollm2"
    if not (model / "model.safetensors").exists():
        file = weights()
        argv = [str(python), "-c", CONVERT, str(file.parent), file.name, str(model)]
        subprocess.run(argv, check=True, env={**os.environ, **offline})
    port = free_port()
    argv = [str(python.with_name("transformers")), "serve", str(model)]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    base_url = f"http://127.0.0.1:{port}/v1"
    with running("transformers", argv, base_url, **offline, **ONE_THREAD):
        title = f"{version(python, 'transformers')} (serve)"
        yield Target(title, base_url, str(model), lacks=TRANSFORMERS_LACKS)


SERVERS = {
    "llama-cpp": embedded,
    "llama-cpp-python": llama_cpp_python,
    "litellm": litellm,
    "litellm-llama-cpp-python": litellm_before_llama_cpp_python,
    "transformers": transformers,
}
