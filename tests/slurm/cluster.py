"""A real Slurm cluster of several nodes in one private folder, on loopback: munged, slurmctld, a slurmd a node.

    python tests/slurm/cluster.py            # starts one, prints SLURM_CONF, stops it on Ctrl-C; --accounting, --forgetful

Debian's packages slurmctld, slurmd, slurm-client and munge are all it needs; `.ci/run` installs them. The daemons are those of
a production cluster (Slurm 22.05 on Debian 12); only the nodes' CPUs and memory are made up. Nothing listens beyond 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import accounting

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "squeue", "scontrol", "scancel", "sinfo")
BLOCK = 16  # ports: more than a cluster takes
STARTS = 30.0  # seconds until a daemon must have come up

CONF = """ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.sock,cred_expire=10
SlurmctldPort={port}
SlurmctldParameters=enable_configless
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
MaxArraySize={array}
MaxJobCount=50000
MessageTimeout=5
KillWait=2
MinJobAge={age}
SlurmctldTimeout=10
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,default_queue_depth=1000
CommunicationParameters=NoAddrCache
{accounting}SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=n[0-{last}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{end}] CPUs={cpus} RealMemory=24000 Gres=gpu:8
PartitionName=main Nodes=n[0-{last}] Default=YES MaxTime=INFINITE State=UP PriorityTier=10
PartitionName=scav Nodes=n[0-{last}] MaxTime=INFINITE State=UP PriorityTier=0 PreemptMode=REQUEUE
PartitionName=kill Nodes=n[0-{last}] MaxTime=INFINITE State=UP PriorityTier=0 PreemptMode=CANCEL
PartitionName=short Nodes=n0 MaxTime=10 State=UP PriorityTier=10
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
"""
UNACCOUNTED = "AccountingStorageType=accounting_storage/none\nJobAcctGatherType=jobacct_gather/none\n"


def missing() -> str:
    """What stands in the way of a cluster here; empty when nothing does."""
    lost = [name for name in (*DAEMONS, *COMMANDS) if not shutil.which(name, path=_path())]
    if lost:
        return f"no {', '.join(lost)}: apt-get install slurmctld slurmd slurm-client munge"
    return "" if os.geteuid() == 0 else "the daemons of a test cluster are started as root"


def _path() -> str:
    return os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


@dataclass
class Cluster:
    """A running cluster. `folder` holds everything it writes; `environment` is what a client needs to find it."""

    folder: Path
    nodes: int
    port: int
    _daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a client."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": _path()}

    def call(self, *command: str, seconds: float = 20.0) -> str:
        """What one of Slurm's commands says."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=seconds, check=True
        )
        return done.stdout

    def start_controller(self, *options: str) -> None:
        """Start slurmctld and wait until it answers; jobs of an earlier one go on unless `-c` is given."""
        self._start("slurmctld", "slurmctld", "-D", "-f", str(self.folder / "slurm.conf"), *options)
        self._until("slurmctld answers", lambda: "UP" in self.call("scontrol", "ping", seconds=5))
        if any(name.startswith("slurmd-") for name in self._daemons):
            self._wait_for_nodes()

    def stop_controller(self) -> None:
        """Kill slurmctld with -9, as a machine that loses power does; its saved state stays."""
        self._stop("slurmctld", signal.SIGKILL)

    def stop(self) -> None:
        """Cancel what runs and end the daemons, those that were started here only."""
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            self.call("scancel", "--user=root", seconds=5)
            self._until("jobs have ended", lambda: not self.call("squeue", "-h", seconds=5).strip(), most=10)
        for name in reversed(list(self._daemons)):
            self._stop(name, signal.SIGTERM)

    def _start(self, name: str, *command: str) -> None:
        log = (self.folder / "log" / f"{name}.out").open("ab")
        with log:
            self._daemons[name] = subprocess.Popen(
                command, env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )  # fmt: skip

    def _stop(self, name: str, how: signal.Signals) -> None:
        daemon = self._daemons.pop(name, None)
        if daemon is None:
            return
        daemon.send_signal(how)
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _until(self, what: str, true: Callable[[], bool], most: float = STARTS) -> None:
        began = time.monotonic()
        while time.monotonic() - began < most:
            dead = [name for name, daemon in self._daemons.items() if daemon.poll() is not None]
            if dead:
                raise RuntimeError(f"{dead[0]} ended: {self._words(dead[0])}")
            with contextlib.suppress(subprocess.SubprocessError):
                if true():
                    return
            time.sleep(0.05)
        raise RuntimeError(f"not within {most:g} s: {what}; {self._words('slurmctld')}")

    def _words(self, name: str) -> str:
        return (self.folder / "log" / f"{name}.out").read_text(errors="replace")[-600:]

    def _begin(self, cpus: int, array: int, age: int, accounted: bool) -> None:
        for part in ("run", "state", "log", *(f"spool/n{n}" for n in range(self.nodes))):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        run, log = self.folder / "run", self.folder / "log"
        there = (
            accounting.CONF.format(folder=self.folder, port=self.port + self.nodes + 1) if accounted else UNACCOUNTED
        )
        conf = CONF.format(folder=self.folder, port=self.port, first=self.port + 1, end=self.port + self.nodes, array=array,
                           last=self.nodes - 1, host=socket.gethostname(), cpus=cpus, age=age, accounting=there)  # fmt: skip
        (self.folder / "slurm.conf").write_text(conf)
        (self.folder / "gres.conf").write_text("Name=gpu Count=8 File=/dev/tty[0-7]\n")
        (run / "munge.key").write_bytes(os.urandom(1024))
        (run / "munge.key").chmod(0o400)
        self._start("munged", "munged", "--foreground", "--force", f"--socket={run}/munge.sock", f"--key-file={run}/munge.key",
                    f"--pid-file={run}/munged.pid", f"--log-file={log}/munged.log", f"--seed-file={run}/munge.seed")  # fmt: skip
        self._until("munged listens", (run / "munge.sock").exists)
        if accounted:
            accounting.start(self.folder, self.port + self.nodes + 1, self._start, self._until, self.call)
        self.start_controller("-c")
        for number in range(self.nodes):
            self._start(f"slurmd-n{number}", "slurmd", "-D", "-N", f"n{number}", "-f", str(self.folder / "slurm.conf"))
        self._wait_for_nodes()

    def _wait_for_nodes(self) -> None:
        count = ("sinfo", "-h", "-p", "main", "-r", "-t", "idle,mixed,allocated,completing", "-o", "%D")
        self._until("nodes are up", lambda: sum(map(int, self.call(*count, seconds=5).split())) == self.nodes)


@contextlib.contextmanager
def ports(number: int) -> Iterator[int]:
    """The first of so many neighbouring free ports of loopback, kept from other clusters while the block runs.

    The port before them is bound all the while: whoever looks for ports at the same time goes on to the next block.
    """
    for guard in range(16_816, 32_000, BLOCK):  # below the ports that the kernel gives to clients
        with socket.socket() as held:
            try:
                held.bind(("127.0.0.1", guard))
                with contextlib.ExitStack() as stack:
                    for port in range(guard + 1, guard + 1 + number):
                        stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            yield guard + 1
            return
    raise RuntimeError("no free ports")


@contextlib.contextmanager
def cluster(
    *, nodes: int = 4, cpus: int = 4, array: int = 1001, age: int = 300, accounted: bool = False
) -> Iterator[Cluster]:
    """A cluster while the block runs, with accounting if asked for; it forgets what ended `age` seconds ago.

    Raises RuntimeError, with a daemon's last words, where it does not start.
    """
    with (
        tempfile.TemporaryDirectory(prefix="planner-slurm-", ignore_cleanup_errors=True) as name,
        ports(nodes + 3) as port,
    ):
        Path(name).chmod(0o755)  # munged wants nobody but the owner to write where its socket is
        made = Cluster(Path(name), nodes, port)
        try:
            made._begin(cpus, array, age, accounted)
            yield made
        finally:
            made.stop()


if __name__ == "__main__":
    with cluster(accounted="--accounting" in sys.argv, age=2 if "--forgetful" in sys.argv else 300) as running:
        print(f"export SLURM_CONF={running.folder}/slurm.conf", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
