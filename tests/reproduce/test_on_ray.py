"""The grid on a Ray cluster of three machines, all of them this one: what is lost is done again.

Every process that is killed here is a child of the cluster or command that the test has started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from problems import small_reproduce
from problems.reproduced import claims, measured
from varshift._engine.memory import _available as available
from varshift.reproduce.on_ray import work_on_ray
from varshift.reproduce.one import Job
from varshift.reproduce.scales import Budget

TABLE, RUNS = "table1", 4
NEEDS = 4 << 30  # bytes: Ray's own processes, and one that imports torch for each worker
COMMAND = (
    *(sys.executable, small_reproduce.__file__, "reproduce", TABLE, "--seeds", str(RUNS)),
    *("--every", "0.1", "--folder"),
)
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_worker_niceness": "0",  # else other tests have the cores, and these wait
    # A command is told 127.0.0.1, and Ray would look for the cluster at an outer address instead.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
MACHINE = {"num_cpus": 1, "object_store_memory": 80 << 20, "node_ip_address": "127.0.0.1"}
PATIENCE = 300.0  # seconds; a cluster of three takes 20 on two idle cores


@pytest.fixture(scope="module")
def cluster():
    """Three machines of one core each, the first of which takes commands."""
    if find_spec("ray") is None:
        pytest.skip("no ray; pip install '.[ray]'")
    free = available()
    if free is not None and free < NEEDS:
        pytest.skip(f"Ray needs {NEEDS >> 30} GiB of free memory")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        from ray.cluster_utils import Cluster

        head = MACHINE | {"include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(2):
                made.add_node(**MACHINE)
            yield made
        finally:
            made.shutdown()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same command without Ray."""
    folder = tmp_path_factory.mktemp("alone")
    subprocess.run([*COMMAND, folder], check=True, capture_output=True, timeout=PATIENCE)
    return folder


def test_three_machines_write_the_table_of_one_process_though_a_worker_is_killed(
    cluster, alone, tmp_path
):
    command = started(tmp_path, cluster)
    until(lambda: half_trained(tmp_path), command)
    victims = working(cluster)
    os.kill(victims[0], signal.SIGKILL)
    done = finished(command)
    assert done.returncode == 0, done.stderr[-3000:]
    same(tmp_path, alone)


def test_a_machine_lost_and_a_command_killed_repeat_no_finished_run(cluster, alone, tmp_path):
    command = started(tmp_path, cluster)
    until(lambda: half_trained(tmp_path), command)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    until(lambda: records(tmp_path), command)
    command.kill()
    command.communicate()
    kept = lines(tmp_path)
    first = {path: path.stat().st_mtime_ns for path in records(tmp_path)}
    assert 0 < len(first) < RUNS
    done = finished(started(tmp_path, cluster))
    assert done.returncode == 0, done.stderr[-3000:]
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert lines(tmp_path)[: len(kept)] == kept
    assert len(set(lines(tmp_path))) == len(lines(tmp_path)) == RUNS
    same(tmp_path, alone)


def test_where_no_cluster_is_the_address_is_named(tmp_path):
    pytest.importorskip("ray")
    done = subprocess.run(
        [*COMMAND, tmp_path, "--ray", "127.0.0.1:1"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert "--ray 127.0.0.1:1: no cluster answers there" in done.stderr


def test_nothing_to_do_needs_no_cluster(tmp_path):
    pytest.importorskip("ray")
    work_on_ray(Job((), tmp_path, Budget(), {}), "127.0.0.1:1")


def test_workers_and_a_cluster_exclude_each_other(tmp_path):
    done = subprocess.run(
        [*COMMAND, tmp_path, "--ray", "auto", "--workers", "2"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "--workers is for this machine alone" in done.stderr
    assert not list(tmp_path.rglob("record.json"))


def started(folder: Path, cluster) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, folder, "--ray", cluster.address, "--records", folder / "records.jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(command: subprocess.Popen) -> subprocess.CompletedProcess:
    out, err = command.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(command.args, command.returncode, out, err)


def until(there, command: subprocess.Popen) -> None:
    """Wait for something in the folder, while the command goes on."""
    end = time.monotonic() + PATIENCE
    while not there():
        assert command.poll() is None, command.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def records(folder: Path) -> list[Path]:
    return sorted(folder.rglob("record.json"))


def lines(folder: Path) -> list[str]:
    """What the command wrote of each run as it was done."""
    path = folder / "records.jsonl"
    return path.read_text("utf-8").splitlines() if path.is_file() else []


def half_trained(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("state.pt") if not (path.parent / "record.json").exists()]


def working(cluster) -> list[int]:
    """Processes of this cluster's machines that carry out a task now."""
    raylets = {
        info.process.pid
        for node in cluster.list_all_nodes()
        for info in node.all_processes["raylet"]
    }
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            title = (entry / "cmdline").read_bytes().split(b"\0")[0]
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        if title.startswith(b"ray::_on_worker") and parent in raylets:
            found.append(int(entry.name))
    return found


def same(folder: Path, alone: Path) -> None:
    """All that was measured, and the page up to the time it was made at."""
    mine, other = (read(one / "smoke" / TABLE) for one in (folder, alone))
    assert len(mine[0]) == RUNS
    assert mine == other


def read(page: Path) -> tuple[list[dict], str]:
    return measured(page), claims(page)
