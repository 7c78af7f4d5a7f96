"""Beyond one machine: a real cluster of Dask, of four processes, of which one is killed half way."""

import json
import pathlib
import subprocess
import sys

import pytest

from .. import server

ROOT = pathlib.Path(server.__file__).parent.parent
PATIENCE = 120  # seconds: a cluster takes some to start and to end


def test_a_killed_worker_loses_no_row_and_the_limit_of_the_cluster_is_kept() -> None:
    pytest.importorskip("distributed")
    shown = subprocess.run(
        [sys.executable, "-m", "tests.bulk.cluster"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert (found["rows"], found["results of one row"]) == (800, 1)
    # The part that the killed worker had, and one whose results had not left it.
    assert 800 <= found["requests"] <= 800 + 2 * 50
    # Not above the limit; how close to it depends on the machine.
    assert 0 < found["pace"] <= 1.05
