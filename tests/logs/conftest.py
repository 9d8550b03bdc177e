"""Servers and keys of trackers, for the tests that read from them."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from simulated import lab

SECRET = "hunter2secret"  # noqa: S105 - what no file and no message may hold


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory):
    """A tracking server over the lab's SQLite store."""
    if importlib.util.find_spec("mlflow") is None or importlib.util.find_spec("flask") is None:
        pytest.skip("mlflow with its server is not installed: pip install mlflow")
    from formats import mlflow_sqlite

    folder = tmp_path_factory.mktemp("mlflow")
    mlflow_sqlite(folder, lab())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--host",
               "127.0.0.1", "--port", str(port), "--workers", "1"]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )  # fmt: skip
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=1)  # noqa: S310 - on loopback
                break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail("the MLflow server did not start within a minute")
        yield uri, folder
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


@pytest.fixture
def wandb_key(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", SECRET.ljust(40, "0"))
    for name in ("WANDB_CACHE_DIR", "WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
