"""docs/bulk.md: the lines for Spark and Ray run, with small stand-ins for both engines.

The engines are too large to install for a test.  A stand-in hands each part of the rows to a function, in this process.
"""

import json
import pathlib
import re
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any, Callable

import pytest

from rawchat import bulk

from ..server import answer, completion, serving

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "bulk.md"


def programs(engine: str) -> str:
    """Return the Python blocks of the section about an engine, which build on each other."""
    section = PAGE.read_text("utf-8").partition(f"\n### {engine}\n")[2].partition("\n### ")[0]
    return "\n".join(re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL))


class Rdd:
    """A data set of Spark: partitions, in memory."""

    def __init__(self, partitions: list[list[Any]]):
        self.partitions = partitions

    def mapPartitions(self, function: Callable[[Iterator[Any]], Iterable[Any]]) -> "Rdd":  # noqa: N802
        return Rdd([list(function(iter(part))) for part in self.partitions])

    def map(self, function: Callable[[Any], Any]) -> "Rdd":
        return Rdd([[function(item) for item in part] for part in self.partitions])

    def saveAsTextFile(self, folder: str) -> None:  # noqa: N802
        pathlib.Path(folder).mkdir()
        for number, part in enumerate(self.partitions):
            lines = "".join(f"{line}\n" for line in part)
            pathlib.Path(folder, f"part-{number:05}").write_text(lines, "utf-8")


class Spark:
    """SparkSession, its builder and its context."""

    def __init__(self) -> None:
        self.builder = self.sparkContext = self

    def master(self, url: str) -> "Spark":
        assert url == "local[2]"
        return self

    def getOrCreate(self) -> "Spark":  # noqa: N802
        return self

    def parallelize(self, rows: list[Any], count: int) -> Rdd:
        return Rdd([rows[start::count] for start in range(count)])


class Dataset:
    """A data set of Ray, whose batches are columns."""

    def __init__(self, rows: list[dict[str, Any]]):
        self.rows = rows

    def map_batches(
        self, function: Callable[[Any], dict[str, list[Any]]], batch_size: int, concurrency: int
    ) -> "Dataset":
        found = []
        for start in range(0, len(self.rows), batch_size):
            batch = self.rows[start : start + batch_size]
            columns = function({name: [row[name] for row in batch] for name in batch[0]})
            found += [dict(zip(columns, values)) for values in zip(*columns.values())]
        return Dataset(found)

    def write_json(self, folder: str) -> None:
        pathlib.Path(folder).mkdir()
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        pathlib.Path(folder, "part-0.json").write_text(lines, "utf-8")


def fake_ray() -> Any:
    ray: Any = types.ModuleType("ray")
    ray.init = lambda num_cpus: None
    ray.remote = lambda function: types.SimpleNamespace(remote=function)
    ray.get = list
    ray.data = types.SimpleNamespace(from_items=Dataset)
    return ray


def run(engine: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the lines about an engine against a scripted server; return their names."""
    names: dict[str, Any] = {}
    with serving(answer(completion("Hi"))) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        # The pace of the page would take seconds; the lines are otherwise as they are.
        source = programs(engine).replace("PER_MINUTE = 2, 6000", "PER_MINUTE = 2, 600000")
        exec(compile(source, str(PAGE), "exec"), names)
    return names


def answered(lines: Iterable[str]) -> set[str]:
    """Return the names of the rows that were answered."""
    results = [json.loads(line) for line in lines]
    assert all(bulk.succeeded(result) for result in results)
    return {result["custom_id"] for result in results}


ALL_ROWS = {f"q{number}" for number in range(40)}


def test_the_lines_for_spark_answer_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    sql: Any = types.ModuleType("pyspark.sql")
    sql.SparkSession = Spark()
    monkeypatch.setitem(sys.modules, "pyspark", types.ModuleType("pyspark"))
    monkeypatch.setitem(sys.modules, "pyspark.sql", sql)
    run("Spark", monkeypatch)
    files = sorted(pathlib.Path("answers").iterdir())
    assert len(files) == 8
    assert answered(line for file in files for line in file.read_text().splitlines()) == ALL_ROWS


def test_the_lines_for_ray_answer_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", fake_ray())
    names = run("Ray", monkeypatch)
    assert len(names["parts"]) == 8
    assert answered(json.dumps(result) for part in names["parts"] for result in part) == ALL_ROWS
    written = pathlib.Path("answers", "part-0.json").read_text().splitlines()
    assert answered(json.loads(line)["line"] for line in written) == ALL_ROWS
