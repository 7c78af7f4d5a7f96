"""Try what works with the real servers: `python -m tests.real_servers [NAME …]` writes results.json."""

import datetime
import json
import sys
from collections.abc import Sequence
from typing import Any, Callable

import pytest

import rawchat

from . import NOT_OFFERED, RESULTS
from .checks import CHECKS, NotOfferedError
from .servers import FOLDER, ROOT, SERVERS, Target


def try_check(target: Target, title: str, check: Callable[[rawchat.Client], None]) -> str:
    """Return the result of a check: "yes", "not offered: …", or what is wrong, in one line."""
    if title in target.lacks:
        return f"{NOT_OFFERED}{target.lacks[title]}"
    try:
        with target.client() as client:
            check(client)
    except NotOfferedError as reason:
        return f"{NOT_OFFERED}{reason}"
    except (Exception, pytest.fail.Exception) as problem:
        words = " ".join(str(problem).split())
        for private in (str(ROOT), target.base_url, target.key):
            if private:
                words = words.replace(private, "…")
        return f"{type(problem).__name__}: {words[:300]}"
    return "yes"


def main(names: Sequence[str]) -> int:
    """Try the servers with these names, all by default; write each result as it comes; return 1 if a check failed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    written: dict[str, Any] = {}
    if RESULTS.exists():
        written = json.loads(RESULTS.read_text(encoding="utf-8"))
    failed = False
    for name in names or SERVERS:
        print(name, file=sys.stderr)
        results: dict[str, str] = {}
        with SERVERS[name]() as target:
            today = datetime.date.today().isoformat()
            written[name] = {"server": target.title, "date": today, "results": results}
            for title, check in CHECKS.items():
                result = try_check(target, title, check)
                print(f"  {title}: {result}", file=sys.stderr)
                failed = failed or not (result == "yes" or result.startswith(NOT_OFFERED))
                results[title] = result
                text = json.dumps(written, indent=1, sort_keys=True)
                RESULTS.write_text(text + "\n", encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
