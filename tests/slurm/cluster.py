"""A real SLURM of one node on this machine, with two pretended GPUs: started for the tests, and stopped after them.

It needs root, Debian's packages slurmctld, slurmd, slurm-client and munge, and no systemd. Nothing of it stays.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sinfo", "sbatch", "srun")
SYSTEM = Path("/etc/slurm/slurm.conf")
"""Where srun looks inside jobs, whose SLURM_CONF the executor's job step takes away."""

PREFIX = "pretended-slurm-"

CONFIGURATION = """\
ClusterName=pretended
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished.txt
MpiDefault=none
ReturnToService=2
MinJobAge=300
KillWait=5
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 Gres=gpu:fake:2 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
"""
"""More processors and memory than there are: SLURM only shares them out here."""


class Cluster:
    """The daemons, and what they know about jobs."""

    def __init__(self, folder):
        self.folder = folder

    def start(self):
        """Start munged, slurmctld and slurmd; returns when the node is idle. Raises RuntimeError with their logs."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        for number in (0, 1):
            (self.folder / f"gpu{number}").symlink_to("/dev/null")
        host = socket.gethostname().partition(".")[0]
        text = CONFIGURATION.format(host=host, folder=self.folder, ports=_free_ports(2))
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text(f"NodeName={host} Name=gpu Type=fake File={self.folder}/gpu[0-1]\n")
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        SYSTEM.parent.mkdir(exist_ok=True)
        SYSTEM.symlink_to(self.folder / "slurm.conf")
        places = {
            "socket": "munge.sock",
            "key-file": "munge.key",
            "pid-file": "munged.pid",
            "log-file": "munged.log",
            "seed-file": "munge.seed",
        }
        options = [f"--{option}={self.folder / name}" for option, name in places.items()]
        # As root, and below a temporary folder that others may write to, munged wants to be told that this is meant.
        self._run("munged", "--force", *options)
        self._run("slurmctld", "-c", "-f", self.folder / "slurm.conf")
        self._run("slurmd", "-c", "-f", self.folder / "slurm.conf")
        deadline = time.monotonic() + 60
        while self.ask("sinfo", "--noheader", "--format=%T", check=False).split() != ["idle"]:
            if time.monotonic() > deadline:
                logs = [f"{log.name}:\n{log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.log"))]
                raise RuntimeError("SLURM did not come up:\n" + "\n".join(logs))
            time.sleep(0.5)

    def _run(self, *command):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=self.folder)
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")

    def ask(self, *command, check=True):
        """What a client program of SLURM prints."""
        return subprocess.run(command, capture_output=True, text=True, check=check).stdout

    def queue(self):
        """Ids of the jobs that wait or run."""
        return self.ask("squeue", "--noheader", "--format=%i", "--states=PENDING,RUNNING,COMPLETING").split()

    def finished(self):
        """Job id -> what SLURM wrote about it: JobState, Partition, TimeLimit ..."""
        found = {}
        path = self.folder / "finished.txt"
        for line in path.read_text().splitlines() if path.exists() else []:
            fields = dict(part.partition("=")[::2] for part in line.split() if "=" in part)
            found[fields["JobId"]] = fields
        return found

    def stop(self):
        """Cancel every job, stop the daemons, take the link away."""
        if _runs(self.folder / "slurmctld.pid") and self.queue():
            subprocess.run(["scancel", "--full", "--user=root"], check=False)
            self.wait_until_empty()
        for name in ("slurmd", "slurmctld", "munged"):
            _stop(self.folder / f"{name}.pid")
        if SYSTEM.is_symlink() and SYSTEM.readlink() == self.folder / "slurm.conf":
            SYSTEM.unlink()

    def wait_until_empty(self, seconds=60):
        """Whether the queue is empty, now or before `seconds` have passed."""
        deadline = time.monotonic() + seconds
        while self.queue():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True


def _stop(pid_file):
    """End the daemon that wrote `pid_file`."""
    if not _runs(pid_file):
        return
    pid = int(pid_file.read_text())
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        for _ in range(40):
            if not _lives(pid):
                return
            time.sleep(0.25)


def _lives(pid):
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _runs(pid_file):
    """Whether the daemon runs that wrote `pid_file`."""
    return pid_file.exists() and _lives(int(pid_file.read_text()))


def _free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _sweep():
    """Take away what tests left that were killed before they could: the link, and the folder that it leads to."""
    if not SYSTEM.is_symlink():
        return
    folder = SYSTEM.readlink().parent
    if folder.parent != Path(tempfile.gettempdir()) or not folder.name.startswith(PREFIX):
        return
    if not any(_runs(folder / f"{name}.pid") for name in ("slurmd", "slurmctld", "munged")):
        SYSTEM.unlink()
        shutil.rmtree(folder, ignore_errors=True)


def why_not():
    """Why no cluster can be started here; nothing where one can."""
    _sweep()
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} not found; `make test-slurm` installs SLURM"
    if os.geteuid() != 0:
        return "SLURM's daemons start as root; run `make test-slurm` as root, or with sudo"
    if SYSTEM.exists():
        return f"{SYSTEM} exists: this machine belongs to a cluster (or to another run of the tests); it is left alone"
    return ""


def make_folder():
    """An empty folder for a cluster, with a path short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    folder.chmod(0o755)
    return folder


if __name__ == "__main__":
    sys.exit(why_not() or 0)
