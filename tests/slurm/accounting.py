"""Slurm's accounting for a test cluster: a MariaDB and slurmdbd of its own, in the cluster's folder, on loopback.

Debian's slurmdbd and mariadb-server (193 MB installed, four seconds to start) are more than every CI run should pay for: what
needs them skips, saying so, where they are not installed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

CONF = """AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/run/munge.sock
JobAcctGatherType=jobacct_gather/linux
"""
DBD = """AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""
GRANT = "create user slurm@'%' identified by 'slurm'; grant all on *.* to slurm@'%';"
NEEDED = ("mariadbd", "mariadb-install-db", "mariadb", "slurmdbd", "sacctmgr", "sacct")


def missing(path: str) -> str:
    """What stands in the way of accounting here; empty when nothing does."""
    lost = [name for name in NEEDED if not shutil.which(name, path=path)]
    return f"no {', '.join(lost)}: apt-get install slurmdbd mariadb-server" if lost else ""


def start(
    folder: Path, port: int, begin: Callable[..., None], until: Callable[[str, Callable[[], bool]], None],
    call: Callable[..., str],
) -> None:  # fmt: skip
    """Start MariaDB and slurmdbd, by `begin(name, *command)`, on `port` + 1 and `port`; munged is there already."""
    data, socket = folder / "db", folder / "db" / "m.sock"
    data.mkdir()
    shutil.chown(data, "mysql")
    subprocess.run(
        ["mariadb-install-db", "--user=mysql", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    begin("mariadbd", "mariadbd", "--no-defaults", "--user=mysql", f"--datadir={data}", f"--socket={socket}",
          "--bind-address=127.0.0.1", f"--port={port + 1}", "--innodb-flush-log-at-trx-commit=0")  # fmt: skip
    ask = ["mariadb", "--no-defaults", f"--socket={socket}", "--user=root", "-e"]
    until("MariaDB answers", lambda: subprocess.run([*ask, "select 1"], capture_output=True).returncode == 0)
    subprocess.run([*ask, GRANT], check=True, capture_output=True, timeout=30)
    conf = folder / "slurmdbd.conf"
    conf.touch(0o600)
    conf.write_text(DBD.format(folder=folder, port=port, database=port + 1))
    begin("slurmdbd", "slurmdbd", "-D")
    until("slurmdbd answers", lambda: "Adding" in call("sacctmgr", "-i", "add", "cluster", "test"))
