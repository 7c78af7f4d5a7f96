"""The transport without `fast`: `connection` alone passes the tests of behaviour.

The imported tests run once more here, with the plain adapter and its pools.
"""

import pytest

import rawchat
from rawchat import transport
from rawchat.transport import connection

from ..server import serving, streamed
from .test_transport import (  # noqa: F401
    test_a_broken_stream_gives_what_came_whole_and_then_says_so,
    test_a_chunk_is_there_the_moment_it_arrives,
    test_a_deadline_ends_whatever_drips,
    test_a_header_that_comes_in_several_lines_is_one_list,
    test_a_request_goes_out_as_it_stands,
    test_a_server_that_leaves_the_body_open_after_done_does_not_hold_the_caller,
    test_a_stream_can_be_closed_by_another_thread,
    test_an_idle_connection_that_the_server_closed_is_replaced_without_a_retry,
    test_close_closes_idle_connections_and_a_call_opens_another,
    test_one_big_chunk_that_is_filled_slowly_is_prompt_too,
    test_three_finished_streams_use_one_connection,
    test_what_drips_after_done_does_not_hold_the_caller,
    test_whether_a_connection_had_served_before,
)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "Adapter", connection.Adapter)
    monkeypatch.setattr(transport, "POOL_CLASSES", connection.POOL_CLASSES)


def test_the_plain_classes_are_used() -> None:
    with serving(streamed()) as server:
        client = rawchat.Client(base_url=server.url, environ={})
        assert client.stream_chat("Hi").reply.text == "Hello"
        http = client.transport
        assert isinstance(http, transport.Http)
        (pool,) = http._adapter.poolmanager.pools._container.values()
        assert (type(http._adapter), type(pool)) == (
            connection.StrictAdapter,
            connection.AutoClosingPool,
        )
