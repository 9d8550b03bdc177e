"""Kubernetes: one Indexed Job a run, a pod a node, and for several nodes the headless service by which they find each other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from planner.lab.exports.quote import ROOT
from planner.lab.exports.run import Run, waves
from planner.lab.exports.script import script
from planner.lab.exports.settings import Settings
from planner.lab.exports.trainers import TRAINERS
from planner.lab.exports.yaml import dump

_LONGEST = 52  # of a job's name: its pods add an index and five letters to it, 63 in all
PORT = 29500
OUTPUT = "/planner"  # where the volume of outputs is mounted


def kubernetes(runs: Sequence[Run], settings: Settings) -> dict[str, str]:
    """jobs/NAME.yaml; jobs-2/NAME.yaml for branches, to apply when their trunks are done."""
    found: dict[str, str] = {}
    for depth, wave in enumerate(waves(runs)):
        folder = f"jobs-{depth + 1}" if depth else "jobs"
        found |= {f"{folder}/{run.name}.yaml": "---\n".join(map(dump, _objects(run, settings))) for run in wave}
    return found | TRAINERS[settings.trainer].files(runs)


def job_name(run: Run) -> str:
    """The run's name as a DNS label: lower case letters, digits, dashes; a hash tells apart what that would merge."""
    plain = re.sub(r"[^a-z0-9-]+", "-", run.name.lower()).strip("-")
    if plain == run.name and plain[0].isalpha() and len(plain) <= _LONGEST:
        return plain
    start = plain if plain[:1].isalpha() else f"run-{plain}"
    return f"{start[: _LONGEST - 9].rstrip('-')}-{hashlib.sha256(run.name.encode('utf-8')).hexdigest()[:8]}"


def literal(text: str) -> str:
    """A text that Kubernetes gives a container as it is: in commands and variables it expands $(NAME), and $$ is a $."""
    return re.sub(r"\$(?=[$(])", "$$", text)


def _objects(run: Run, settings: Settings) -> list[dict[str, object]]:
    service: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(run),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,  # the pods look for the first one while they start
            "selector": {"job-name": job_name(run)},
            "ports": [{"port": PORT}],
        },
    }
    return [_job(run, settings)] if run.nodes == 1 else [service, _job(run, settings)]


def _metadata(run: Run) -> dict[str, object]:
    return {
        "name": job_name(run),
        "labels": {"planner/run": run.name},
        "annotations": {"planner/run-id": run.run_id},
    }


def _job(run: Run, settings: Settings) -> dict[str, object]:
    name, first = job_name(run), "localhost"
    if run.nodes > 1:
        first = f"{name}-0.{name}"
    mounts = {"shm": ("/dev/shm", {"emptyDir": {"medium": "Memory"}})}  # noqa: S108 - NCCL shares memory there
    if settings.claim:
        mounts["output"] = (OUTPUT, {"persistentVolumeClaim": {"claimName": settings.claim}})
    container = {
        "name": "train",
        "image": settings.image,
        "command": ["bash", "-c", literal(script(run, settings, home='"$PWD"'))],
        "env": [
            {"name": "PLANNER_MASTER_ADDR", "value": first},
            {"name": "PLANNER_MASTER_PORT", "value": str(PORT)},
            *([{"name": ROOT, "value": OUTPUT}] if settings.claim else []),
        ],
        "volumeMounts": [{"name": volume, "mountPath": place} for volume, (place, _) in mounts.items()],
        "resources": {"limits": {"nvidia.com/gpu": run.gpus_per_node}},
    }
    pod: dict[str, object] = {"restartPolicy": "Never", "subdomain": name, "containers": [container]}
    pod["volumes"] = [{"name": volume, **source} for volume, (_, source) in mounts.items()]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(run),
        "spec": {
            "completionMode": "Indexed",
            "completions": run.nodes,
            "parallelism": run.nodes,
            "backoffLimit": 3 * run.nodes,
            "template": {"metadata": {"labels": {"planner/run": run.name}}, "spec": pod},
        },
    }
