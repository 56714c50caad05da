"""The grid as Ray tasks: one a run, repeated where a machine is lost, its result written here."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from varshift.errors import MissingExtraError, UsageError, VarshiftError
from varshift.reproduce.locking import locked
from varshift.reproduce.one import Done, Job, do, steps_of
from varshift.reproduce.run import Run
from varshift.reproduce.store import Store
from varshift.reproduce.working import Report

__all__ = ["work_on_ray"]

# A run is begun so many times more where its worker or machine is lost: some machines may be
# taken away at any time, and a run that kills its worker every time must come to an end.
RETRIES = 10
OBJECTS = 100 << 20  # bytes of Ray's object store: results are a few megabytes each
ANSWER = 10.0  # seconds for a cluster to answer
STALE = 600.0  # seconds to wait for a worker that a killed command has left behind


def work_on_ray(
    job: Job, address: str = "auto", *, report: Report = lambda done, total: None
) -> None:
    """Train and measure every run that has no record yet, one Ray task each.

    `address` is that of a cluster; "auto" takes the one that runs on this machine, or starts one
    on its cores. This process alone writes records and weights. Workers read the images from
    `job.roots`, so these paths and this package have to be on every machine; they keep what is
    half trained in `job.folder`, so that a run goes on where that folder is shared.
    """
    ray = _ray()
    roots = {name: str(Path(root).resolve()) for name, root in job.roots.items()}
    job = replace(job, folder=job.folder.resolve(), roots=roots)  # workers stand elsewhere
    store = Store(job.folder, job.records)
    steps = {run: steps_of(run) for run in job.runs if store.record(run) is None}
    done, total, lost = 0, sum(steps.values()), []
    if not steps:
        return
    with _cluster(ray, address):
        task = ray.remote(
            num_cpus=1,
            num_gpus=int(job.device.startswith("cuda")),
            max_retries=RETRIES,
        )(_on_worker)
        held = ray.put(job)
        left = {task.remote(held, run): run for run in steps}
        report(done, total)
        while left:
            (ready,), _ = ray.wait(list(left), num_returns=1)
            run = left.pop(ready)
            try:
                result: Done = ray.get(ready)
            except ray.exceptions.RayTaskError as error:
                raise (error.cause or error) from None
            except ray.exceptions.RayError as error:
                lost.append(f"{run.label} ({type(error).__name__})")
                continue
            if store.record(run) is None:  # another command may have been faster
                result.keep(store, run)
            done += steps[run]
            report(done, total)
    if lost:
        raise VarshiftError(
            f"{len(lost)} runs lost their worker {RETRIES + 1} times: {'; '.join(lost)}. Start the "
            "same command again for these alone; the others are done"
        )


def _on_worker(job: Job, run: Run) -> Done:
    """In a process of Ray's, on any machine."""
    torch.set_num_threads(1)
    store = Store(job.folder)
    with locked(store.lock(run), wait=STALE) as free:
        if not free:
            raise UsageError(
                f"another process has held {run.label} for {STALE:.0f} seconds; let it end, or "
                "point --folder elsewhere"
            )
        record = store.record(run)  # by whoever held it, where the folder is shared
        return do(job, run) if record is None else Done(record, None)


def _ray() -> Any:
    # Asked for before Ray is loaded: nothing of this leaves the machine.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray", "--ray") from error
    return ray


@contextmanager
def _cluster(ray: Any, address: str) -> Iterator[None]:
    """Joined and left, or started and stopped; one that this process is in stays as it is."""
    if ray.is_initialized():
        yield
        return
    _answers(address)
    quiet = {"log_to_driver": False, "logging_level": "error"}
    try:
        ray.init(address=address, **quiet)
    except ConnectionError as error:
        if address != "auto":
            raise UsageError(f"--ray {address}: no cluster answers there ({error})") from error
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=OBJECTS,
            _node_ip_address="127.0.0.1",  # whoever reaches a cluster's ports runs code on it
            **quiet,
        )
    try:
        yield
    finally:
        ray.shutdown()


def _answers(address: str) -> None:
    """Raises UsageError where nobody listens: Ray itself would go on trying for minutes."""
    host, colon, port = address.rpartition(":")
    if "://" in address or not colon:
        if address != "auto":
            raise UsageError(f"--ray {address!r}: pass auto, or HOST:PORT of a cluster's head")
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER).close()
    except (OSError, ValueError) as error:
        raise UsageError(f"--ray {address}: no cluster answers there ({error})") from error
