"""A cluster of Dask on this machine: a scheduler, four workers, and one of them killed half way.

`python -m tests.bulk.cluster` prints what came of it, as JSON: the rows, how many results each has at most, the requests
that the server received, and their pace in proportion to the limit, of the whole run and of the part before the kill.
"""

import functools
import http.server
import json
import os
import signal
import threading
import time
from typing import Any

import distributed

import rawchat
from rawchat import bulk

WORKERS = 4
PARTS, ROWS_OF_A_PART = 16, 50
PER_MINUTE = 9000  # requests, of the whole cluster

BODY = json.dumps(
    {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
).encode()


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers every request, and notes its time."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    times: list[float]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.times.append(time.monotonic())
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@functools.cache
def make_client(url: str) -> rawchat.Client:
    """Return the client of this process, with its share of the limit: one for all parts that come to it."""
    http = rawchat.transport.over_http(url)
    paced = rawchat.limits.limited(http, requests_per_minute=PER_MINUTE / WORKERS)
    return rawchat.Client("sk-cluster-1", url, transport=paced)


def warm_up(url: str) -> None:
    """Import what a first call needs, and make the client."""
    make_client(url)


def answered(part: list[dict[str, Any]], url: str) -> list[dict[str, Any]]:
    """Return the results of one part."""
    return list(bulk.run_rows(part, workers=8, client=make_client(url)))


def run(url: str, times: list[float]) -> dict[str, Any]:
    """Ask for all rows, kill a worker when half of the parts are done, and return what came of it."""
    parts = []
    for start in range(0, PARTS * ROWS_OF_A_PART, ROWS_OF_A_PART):
        numbers = range(start, start + ROWS_OF_A_PART)
        parts.append([{"custom_id": f"row-{n}", "prompt": f"What is {n}?"} for n in numbers])
    names: list[str] = []
    before = 0.0
    with (
        distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.run(warm_up, url)
        finished = distributed.as_completed(client.map(answered, parts, url=url))
        for done, future in enumerate(finished, 1):
            # If the worker is lost in this moment, the part is asked for again, and this waits for it.
            results = future.result()
            # What is here must not be lost with its worker: it would be asked for again.
            future.release()
            names += [result["custom_id"] for result in results if bulk.succeeded(result)]
            if done == PARTS // 2:
                before = pace(times)
                pid = next(iter(client.run(os.getpid).values()))
                os.kill(pid, signal.SIGKILL)
    return {
        "rows": len(set(names)),
        "results of one row": max(map(names.count, names)),
        "requests": len(times),
        "pace before the kill": round(before, 3),
        "pace": round(pace(times), 3),
    }


def pace(times: list[float]) -> float:
    """Return the requests per minute from the first to the last, in proportion to the limit."""
    # Each worker may send its first request at once.
    return (len(times) - WORKERS) / (max(times) - min(times)) * 60 / PER_MINUTE


def main() -> dict[str, Any]:
    times: list[float] = []
    handler = type("Handler", (Answering,), {"times": times})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            return run(f"http://127.0.0.1:{server.server_port}/v1", times)
        finally:
            server.shutdown()


if __name__ == "__main__":
    # Of a module that has a name, the processes of the cluster have one copy each, and with it one client.
    from tests.bulk import cluster

    print(json.dumps(cluster.main()))
