"""Many prompts on many machines: Dask hands out parts of the rows, rawchat asks for those of each part."""

import dask.bag
import distributed

from rawchat import bulk

AT_WORK = 2  # parts at the same time, in the whole cluster
PER_MINUTE = 6000  # requests, of the whole cluster


def answered(part):
    """The results of one part: a list, as they travel between processes."""
    return list(bulk.run_rows(part, workers=16, rpm=PER_MINUTE / AT_WORK))


if __name__ == "__main__":
    rows = [{"custom_id": f"square-{n}", "prompt": f"What is {n} squared?"} for n in range(40)]
    with (
        distributed.LocalCluster(
            n_workers=AT_WORK, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster),
    ):
        results = dask.bag.from_sequence(rows, npartitions=8).map_partitions(answered).compute()
    print(len(results), "rows,", sum(1 for result in results if bulk.succeeded(result)), "answered")
