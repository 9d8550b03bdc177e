"""The configuration that OLMo-core's src/examples/llm/train.py merges overrides into, by its own classes."""

from __future__ import annotations

from dataclasses import dataclass, field

from olmo_core.config import Config, DType
from olmo_core.data import NumpyDataLoaderConfig
from olmo_core.distributed.parallel import DataParallelType
from olmo_core.nn.transformer import TransformerConfig
from olmo_core.optim import AdamWConfig, CosWithWarmup
from olmo_core.train import TrainerConfig
from olmo_core.train.callbacks import CheckpointerCallback, WandBCallback
from olmo_core.train.train_module import TransformerDataParallelConfig, TransformerTrainModuleConfig


def _train_module() -> TransformerTrainModuleConfig:
    data_parallel = TransformerDataParallelConfig(name=DataParallelType.fsdp, param_dtype=DType.bfloat16)
    return TransformerTrainModuleConfig(
        rank_microbatch_size=16384,
        max_sequence_length=2048,
        optim=AdamWConfig(lr=1e-3),
        dp_config=data_parallel,
        scheduler=CosWithWarmup(warmup=100),
    )


def _trainer() -> TrainerConfig:
    trainer = TrainerConfig(save_folder="x").with_callback("checkpointer", CheckpointerCallback(save_interval=1000))
    return trainer.with_callback("wandb", WandBCallback(name="x", enabled=False))


@dataclass
class ExperimentConfig(Config):
    """The example's fields, less the data."""

    model: TransformerConfig = field(default_factory=lambda: TransformerConfig.llama2_271M(vocab_size=50304))
    data_loader: NumpyDataLoaderConfig = field(
        default_factory=lambda: NumpyDataLoaderConfig(global_batch_size=1, seed=0)
    )
    train_module: TransformerTrainModuleConfig = field(default_factory=_train_module)
    trainer: TrainerConfig = field(default_factory=_trainer)
    init_seed: int = 12536
    load_path: str | None = None
    load_trainer_state: bool = False


def example(overrides: list[str]) -> ExperimentConfig:
    """The configuration after OLMo-core merged the overrides."""
    return ExperimentConfig().merge(overrides)
