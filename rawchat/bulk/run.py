"""Many prompts at once: rows go in, results come out as they are ready, in the lines of OpenAI's Batch format.

    python -m rawchat.bulk IN OUT             what is done stays done: the same command goes on after any end

`run_rows` is a plain function from an iterator of rows to an iterator of results, made for `mapPartitions` of Dask,
Spark or Ray.  There each partition has workers and limits of its own: divide the rate by how many are at work.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from queue import SimpleQueue
from typing import Any, Optional, Union

from ..client import Client
from .rows import Row, error_line, success_line

DEFAULT_WORKERS = 16  #: rows under way at the same time


def run_rows(
    rows: Iterable[Union[str, Mapping[str, Any]]],
    workers: int = DEFAULT_WORKERS,
    client: Optional[Client] = None,
    rpm: Optional[float] = None,
    tpm: Optional[float] = None,
    **settings: Any,
) -> Iterator[dict[str, Any]]:
    """Ask for every row, `workers` at a time, and yield the results in the order in which they are ready.

    A row is a text, or a mapping as in `batch.Row`; a result is a line of the Batch format, and errors are results
    too.  `settings` are those of Client; `rpm` and `tpm` bound its requests and tokens per minute.  Rows are taken
    only as workers come free, so that memory does not grow with them.
    """
    own = client or make_client(rpm, tpm, **settings)
    try:
        yield from ask_rows((Row(number, row) for number, row in enumerate(rows, 1)), workers, own)
    finally:
        if own is not client:
            own.close()


def make_client(
    rpm: Optional[float] = None, tpm: Optional[float] = None, **settings: Any
) -> Client:
    """A Client that keeps within so many requests and tokens per minute."""
    client = Client(**settings)
    if not (rpm or tpm):
        return client
    from ..limits import limited

    return Client(
        **{
            **settings,
            "transport": limited(client.transport, requests_per_minute=rpm, tokens_per_minute=tpm),
        }
    )


def ask_rows(rows: Iterator[Row], workers: int, client: Client) -> Iterator[dict[str, Any]]:
    """The results of `rows`; a worker gets the next one as soon as its last one is done."""
    todo, done = SimpleQueue[Optional[Row]](), SimpleQueue[dict[str, Any]]()

    def work() -> None:
        for row in iter(todo.get, None):
            done.put(ask_row(client, row))

    under_way = 0
    try:
        for row in islice(rows, workers):
            threading.Thread(target=work, daemon=True).start()
            todo.put(row)
            under_way += 1
        while under_way:
            finished = done.get()
            under_way -= 1
            for row in islice(rows, 1):
                todo.put(row)
                under_way += 1
            yield finished
    finally:
        for _ in range(workers):
            todo.put(None)


def ask_row(client: Client, row: Row) -> dict[str, Any]:
    """What comes of one row: its answer, or what went wrong, whatever that is."""
    try:
        return success_line(row, client.send(row.request(client.config), client._read))
    except Exception as error:  # one row must not end the others
        return error_line(row, error)
