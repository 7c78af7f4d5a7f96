"""Try what works with the real servers: `python -m tests.real_servers [NAME …]` writes results.json."""

import datetime
import json
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from . import NOT_OFFERED, RESULTS
from .checks import CHECKS, NotOfferedError
from .servers import FOLDER, ROOT, SERVERS, Target


def try_all(target: Target) -> dict[str, str]:
    """Return the result of each check by its name: "yes", "not offered: …", or what is wrong, in one line."""
    results = {}
    for name, check in CHECKS.items():
        result = "yes"
        try:
            with target.client() as client:
                check(client)
        except NotOfferedError as reason:
            result = f"{NOT_OFFERED}{reason}"
        except (Exception, pytest.fail.Exception) as problem:
            words = " ".join(str(problem).split())
            words = (
                words.replace(str(ROOT), "")
                .replace(target.base_url, "")
                .replace(target.key or "\0", "***")
            )
            result = f"{type(problem).__name__}: {words[:300]}"
        print(f"  {name}: {result}", file=sys.stderr)
        results[name] = result
    return results


def main(names: Sequence[str]) -> int:
    """Try the servers with these names, all by default, and write what came of it; return 1 if a check failed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    written: dict[str, Any] = {}
    if RESULTS.exists():
        written = json.loads(RESULTS.read_text(encoding="utf-8"))
    failed = False
    for name in names or SERVERS:
        print(name, file=sys.stderr)
        with SERVERS[name]() as target:
            results = try_all(target)
        today = datetime.date.today().isoformat()
        written[name] = {"server": target.title, "date": today, "results": results}
        for result in results.values():
            failed = failed or not (result == "yes" or result.startswith(NOT_OFFERED))
        RESULTS.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
