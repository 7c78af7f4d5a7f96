"""All scenarios, in their groups."""

from . import answering, connecting, endpoints, merging, retrying, shape, streaming, typed

GROUPS = {
    "Requests": shape.SCENARIOS,
    "Retries": retrying.SCENARIOS,
    "Responses, errors, redirects": answering.SCENARIOS,
    "Streams": streaming.SCENARIOS,
    "The merged reply of a stream": merging.SCENARIOS,
    "Typed answers": typed.SCENARIOS,
    "Keys, connections, time": connecting.SCENARIOS,
    "Any endpoint": endpoints.SCENARIOS,
}
ALL = [scenario for group in GROUPS.values() for scenario in group]
