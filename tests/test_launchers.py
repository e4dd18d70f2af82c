"""Launchers for real: workers outlived by nobody, a Ray cluster that loses a node, jobs that a scheduler takes away."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from study import records
from tests.processes import Process, start

pytestmark = pytest.mark.slow

ONE = """
    task=recall task.length=8 model.width=16 model.ffn_width=64 train.steps=300 train.batch=4 train.evaluate_every=20
    train.stop_when_solved=false evaluation.validation_items=8 evaluation.test_items=8 trainer.checkpoint_every=10
    tracking.mode=off
""".split()


@pytest.fixture
def launch(checkout: Path) -> Iterator[Callable[..., Process]]:
    """launch("seed=0", ...): ``python run.py -m`` in the checkout; ended with the test."""
    started = []

    def command(*arguments: str, **environment: str) -> Process:
        started.append(start("run.py", "-m", *arguments, cwd=checkout, **environment))
        return started[-1]

    yield command
    for process in started:
        process.kill()
        process.wait()


def wait(until: Callable[[], Any], process: Process | None = None, seconds: float = 240) -> Any:
    """What ``until`` returns, once that is something; fails if it takes too long or the process ends before."""
    deadline = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < deadline, "timed out"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)
    return found


def checkpoints(folder: Path, count: int) -> Callable[[], bool]:
    return lambda: len(list(folder.glob("*/last.ckpt"))) >= count


def processes(where: Callable[[Path], bool]) -> list[int]:
    """Ids of the processes whose folder in /proc fits."""

    def fits(path: Path) -> bool:
        try:
            return where(path)
        except OSError:
            return False

    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if fits(path)]


def made(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.parent.name: records.read(path) for path in folder.glob(f"*/{records.NAME}")}


def test_workers_end_with_a_launcher_that_is_killed(launch, checkout):
    """All of them: those that train, one that has nothing to do, and W&B's service of each."""
    long = ["experiment=tiny", "tier=core", "train.stop_when_solved=false", "trainer.checkpoint_every=10"]
    process = launch(*long, "sweep.arms=[attention]", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    wait(checkpoints(checkout / "runs", 1), process)

    def of_checkout() -> list[int]:
        return processes(lambda path: (path / "cwd").readlink() == checkout)

    assert len(of_checkout()) > 2
    process.kill()
    process.wait()
    wait(lambda: not of_checkout(), seconds=10)
    assert not made(checkout / "runs")


# --- Ray ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray cluster on the loopback, its head without room for runs."""
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="hydra-ray-launcher is not installed")
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # a socket's path must be short
    monkeypatch.setenv("RAY_TMPDIR", folder)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    soon = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
    head = {"num_cpus": 0, "node_ip_address": "127.0.0.2", "include_dashboard": False, "_system_config": soon}
    before = signal.getsignal(signal.SIGTERM)
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()
    signal.signal(signal.SIGTERM, before)  # Ray leaves its own, which all processes forked later would inherit
    shutil.rmtree(folder, ignore_errors=True)


def test_on_ray_runs_share_a_gpu_and_go_on_elsewhere_when_their_node_is_lost(cluster, launch, checkout):
    """The GPUs are Ray's to count; nothing here needs one."""
    path = checkout / "conf" / "experiment" / "tiny.yaml"
    declared = yaml.safe_load(path.read_text())
    declared["tiers"]["core"] |= {"tuning_seeds": [100, 101], "verdict_seeds": [0, 1]}
    declared["tiers"]["core"]["task_set"]["recall"]["train.steps"] = 800
    path.write_text(yaml.safe_dump(declared, sort_keys=False))

    doomed = cluster.add_node(num_cpus=2, num_gpus=1, node_ip_address="127.0.0.3")
    [raylet] = [process.process.pid for process in doomed.all_processes["raylet"]]

    def its_workers() -> list[int]:
        def fits(path: Path) -> bool:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            return parent == raylet and "_run_job" in (path / "cmdline").read_text()

        return processes(fits)

    arguments = ["experiment=tiny", "sweep.arms=[attention]", "train.stop_when_solved=false", "trainer.checkpoint_every=10"]
    ray = ["hydra/launcher=ray_cluster", "+hydra.launcher.ray.init._node_ip_address=127.0.0.2", "trainer.gpus=0.5"]
    process = launch(*arguments, *ray, RAY_ADDRESS=cluster.address)
    wait(lambda: len(its_workers()) == 2, process)
    cluster.add_node(num_cpus=2, num_gpus=1, node_ip_address="127.0.0.4")
    wait(checkpoints(checkout / "runs", 2), process)
    for pid in [raylet, *its_workers()]:
        os.kill(pid, signal.SIGKILL)
    said = "".join(process.communicate(timeout=240))
    assert process.returncode == 0, said
    assert "done: 4 finished, 0 diverged, 0 failed, 0 without a record" in said
    runs = made(checkout / "runs")
    assert {(r["plan"]["role"], r["plan"]["seed"], r["resumed"]) for r in runs.values()} == {
        ("tuning", 100, True),
        ("tuning", 101, True),
        ("verdict", 0, False),
        ("verdict", 1, False),
    }
    begun = [path.stem.removeprefix("run-") for path in (checkout / "runs" / "wandb").glob("offline-run-*/*.wandb")]
    assert sorted(begun) == sorted(list(runs) + [name for name, record in runs.items() if record["resumed"]])


# --- Slurm --------------------------------------------------------------------------------------------------------------

SLURM = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={other_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
KillWait=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=1 Gres=gpu:1
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Slurm cluster of this machine alone, with a GPU that is none."""
    daemons = ["munged", "slurmctld", "slurmd"]
    if missing := [name for name in daemons if not shutil.which(name)]:
        pytest.skip(f"no {', '.join(missing)} here (Debian: slurm-wlm)")
    if os.geteuid():
        pytest.skip("slurmd wants to be root")
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    host = socket.gethostname().partition(".")[0]
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = {"port": one.getsockname()[1], "other_port": other.getsockname()[1]}
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "slurm.conf").write_text(SLURM.format(host=host, folder=folder, **ports))
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
    (folder / "key").write_bytes(os.urandom(128))
    (folder / "key").chmod(0o600)
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    munge = [f"--{what}-file={folder}/{what}" for what in ("key", "log", "pid", "seed")]
    commands = [["munged", "-F", "--force", f"--socket={folder}/munge.socket", *munge], ["slurmctld", "-D"], ["slurmd", "-D"]]
    started = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.said").open("w") as log:
                started.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
            time.sleep(0.5)
        wait(lambda: "idle" in subprocess.run(["sinfo"], capture_output=True, text=True).stdout, seconds=30)
        yield
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def preempt(checkout: Path) -> None:
    """As a scheduler does before it takes a place away: a warning to the job's own process."""

    def is_job(path: Path) -> bool:
        return "submitit.core._submit" in (path / "cmdline").read_text() and (path / "cwd").readlink() == checkout

    [job] = processes(is_job)
    os.kill(job, signal.SIGUSR2)


def requeue(checkout: Path) -> None:
    def ask(*words: str) -> str:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout

    [job] = ask("squeue", "-h", "-t", "R", "-o", "%i").split()
    assert "gpu:1" in ask("scontrol", "show", "job", job)
    ask("scontrol", "requeue", job)


@pytest.mark.parametrize(
    ("launcher", "disturb"), [(["submitit_local"], preempt), (["slurm", "trainer.gpus=1"], requeue)], ids=["local", "slurm"]
)
def test_a_job_taken_away_goes_on_bit_for_bit(request, launch, run_py, checkout, launcher, disturb):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="hydra-submitit-launcher is not installed")
    if launcher[0] == "slurm":
        request.getfixturevalue("slurm")
    process = launch(*ONE, f"hydra/launcher={launcher[0]}", *launcher[1:])
    wait(checkpoints(checkout / "runs", 1), process)
    disturb(checkout)
    said = "".join(process.communicate(timeout=240))
    assert process.returncode == 0, said
    assert run_py(*ONE, "runs=calm", folder=checkout).code == 0
    [(name, record)], [(calm_name, calm)] = made(checkout / "runs").items(), made(checkout / "calm").items()
    assert record["resumed"] and not calm["resumed"]
    assert (name, record["weights_sha256"], record["metrics"]) == (calm_name, calm["weights_sha256"], calm["metrics"])
    assert record["curve"] == calm["curve"]
