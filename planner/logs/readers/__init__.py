"""The readers, in the order in which they may claim files: those that know a tool's mark first, tables last."""

from __future__ import annotations

from planner.logs.readers.json_lines import JsonLines
from planner.logs.readers.levanter import LEVANTER, LevanterSummary
from planner.logs.readers.maxtext import MAXTEXT
from planner.logs.readers.megatron import MEGATRON
from planner.logs.readers.mlflow_files import MlflowFiles
from planner.logs.readers.mlflow_server import MlflowServer
from planner.logs.readers.nanochat import NANOCHAT
from planner.logs.readers.nemo import NEMO
from planner.logs.readers.olmo_core import OLMO_CORE, OlmoCoreFiles
from planner.logs.readers.parquet import Parquet
from planner.logs.readers.separated import Separated
from planner.logs.readers.tensorboard import TensorBoard
from planner.logs.readers.torchtitan import TORCHTITAN
from planner.logs.readers.trackio import Trackio
from planner.logs.readers.trainer_state import TrainerState
from planner.logs.readers.wandb_export import WandbExport
from planner.logs.readers.wandb_offline import WandbOffline
from planner.logs.readers.wandb_server import WandbServer
from planner.logs.segment import Reader

READERS: tuple[Reader, ...] = (
    WandbOffline(),
    MlflowFiles(),
    WandbServer(),
    MlflowServer(),
    Trackio(),
    TrainerState(),
    TensorBoard(),
    OlmoCoreFiles(),
    LevanterSummary(),
    LEVANTER,
    OLMO_CORE,
    MEGATRON,
    NEMO,
    TORCHTITAN,
    NANOCHAT,
    MAXTEXT,
    WandbExport(),
    Parquet(),
    JsonLines(),
    Separated(),
)

__all__ = ["READERS"]
