"""A tool: the model looks at a cluster before it answers."""

from typing import Literal

import rawchat

NODES = {"a1": "ready", "a2": "ready", "b1": "down since 04:12, disk full"}


def cluster_state(zone: Literal["a", "b", "all"] = "all") -> dict[str, str]:
    """The state of every node of the cluster.

    zone: which part of it
    """
    print(f"(looking at zone {zone})")
    return {name: state for name, state in NODES.items() if zone in (name[0], "all")}


history = rawchat.History(system="You watch over a cluster. Look before you answer.")
with history.turn():
    history.append({"role": "user", "content": "Is zone b all right?"})
    reply = rawchat.tools.run(history, tools=[cluster_state])
print(reply.text)
