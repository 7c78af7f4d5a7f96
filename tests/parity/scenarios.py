"""All scenarios, in their groups."""
from . import answering, connecting, merging, retrying, shape, streaming

GROUPS = {
    "What goes out": shape.SCENARIOS,
    "What is tried again": retrying.SCENARIOS,
    "Answers, errors, redirections": answering.SCENARIOS,
    "Streams": streaming.SCENARIOS,
    "The merged reply of a stream": merging.SCENARIOS,
    "Keys, connections, time": connecting.SCENARIOS}
ALL = [scenario for group in GROUPS.values() for scenario in group]
