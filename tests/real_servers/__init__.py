"""Real servers that run on this machine, and what works with each: `make servers` (not in CI).

`servers` installs and starts them, `checks` asks them, and `__main__` writes the results to results.json, from which
docs/servers.md takes its rows (`python -m tests.servers_page`).
"""

import pathlib

RESULTS = pathlib.Path(__file__).with_name("results.json")

#: A result begins with this if the server, or its model, does not do what is tried.
NOT_OFFERED = "not offered: "
