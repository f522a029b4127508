"""Ray, for real: two nodes on this machine, of which one dies in the middle."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest
from sweep_doubles import QUICK, cells_of, paper_csv, sweep

from daenr_common.errors import DaenrError
from daenr_train.sweep.ray_engine import RayEngine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    # Ray leaves sockets and files to the end of the process, and warns of settings of its next version
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CELLS = (
    *cells_of(["cae", "cnn-fr2", "vqvae-fc1"], seeds=(0, 1)),
    *cells_of(["cae-fr2"], neurons=("all", "significant", "insignificant")),
)
SETTINGS = QUICK | {"max_steps": 40, "validate_every": 10}
STORE = 128 * 2**20


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


class Disturbed:
    """A Ray engine whose second node, and then a process, dies when the first runs have ended."""

    def __init__(self, engine, cluster, node, victims):
        self.engine, self.cluster, self.node, self.victims = engine, cluster, node, victims
        self.ended = self.killed = 0

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def wait(self, timeout_s):
        outcomes = self.engine.wait(timeout_s)
        self.ended += len(outcomes)
        if self.ended >= 2 and self.node is not None:
            self.cluster.remove_node(self.node, allow_graceful=False)
            self.node = None
        elif self.ended >= 4 and not self.killed:
            self.killed = self.victims()
        return outcomes


def kill_a_worker():
    """Kill one process of this test's cluster that executes a task; returns how many were found."""
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if is_descendant(pid) and read(folder / "cmdline").startswith("ray::execute"):
            os.kill(pid, signal.SIGKILL)
            return 1
    return 0


def is_descendant(pid):
    while pid > 1 and pid != os.getpid():
        pid = int((read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split() or ["", "0"])[1])
    return pid == os.getpid()


def read(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def test_a_node_and_a_process_die_and_the_table_is_the_same(cluster, small_recording, tmp_path, record_property):
    sweep(tmp_path / "expected", small_recording, CELLS, **SETTINGS)
    node = cluster.add_node(num_cpus=1, object_store_memory=STORE)
    engine = RayEngine({small_recording.fingerprint: small_recording}, address=cluster.address, cpus_per_run=0.5)
    try:
        deadline = time.monotonic() + 60
        while engine.capacity < 4 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert engine.capacity == 4  # two processors, half of one for each run
        disturbed = Disturbed(engine, cluster, node, kill_a_worker)
        sweep(tmp_path / "r", small_recording, CELLS, disturbed, **SETTINGS)
    finally:
        engine.close()
    assert disturbed.node is None
    record_property("killed processes", disturbed.killed)
    assert disturbed.killed == 1
    for name in ("results.csv", "results.json"):
        assert (tmp_path / "r" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()
    assert paper_csv(tmp_path / "r") == paper_csv(tmp_path / "expected")


def test_a_cluster_that_is_not_there_is_named_at_once():
    pytest.importorskip("ray")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DaenrError, match=f"Ray cluster {address}: cannot be reached"):
            RayEngine({}, address=address)
    with pytest.raises(DaenrError, match="--address nowhere: is not HOST:PORT"):
        RayEngine({}, address="nowhere")
