"""docs/servers.md: what works with each server that claims OpenAI compatibility, and the settings that each needs.

`python -m tests.servers_page` writes the page; tests/test_servers_page.py fails if it is not what would be written now.
Every cell is computed: rawchat makes the calls, and the recordings of tests/wire answer them (`columns`, `recorded`).  The
results with real servers are those that `make servers` wrote.
"""
