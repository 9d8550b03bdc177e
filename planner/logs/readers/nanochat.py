"""nanochat's stdout.

Lines as scripts/base_train.py prints them::

    step 00250/21400 (1.17%) | loss: 4.123456 | lrm: 1.00 | dt: 312.45ms | tok/sec: 1,678,123 | mfu: 48.31 | total time: 1.25m
    Step 00250 | Validation bpb: 1.1421
    Total batch size 524,288 => gradient accumulation steps: 1
    Total number of training tokens: 11,219,763,200

`loss` is a moving average of the training loss, `mfu` a percentage, `lrm` the factor on every peak learning rate. A printed
value gets the name under which nanochat sends it to W&B.
"""

from __future__ import annotations

import json
import re

from planner.logs.curves import number, setting
from planner.logs.stdout import Parse, Point, Settings, Stdout

_STEP = re.compile(r"step (\d+)/(\d+) \([\d.]+%\) \| (.*)")
_EVALUATION = re.compile(r"Step (\d+) \| Validation (bpb|loss): (\S+)")
_PAIR = re.compile(r"([\w/ ]+): (-?[\d.,]+|nan|-?inf)(ms|m)?")
_NAMES = {"loss": "train/loss", "lrm": "train/lrm", "mfu": "train/mfu", "bf16_mfu": "train/mfu"}
_SETTINGS = {
    "total_batch_size": re.compile(r"Total batch size (\d+(?:,\d{3})*)"),
    "num_params": re.compile(r"Number of parameters: (\d+(?:,\d{3})*)"),
    "total_tokens": re.compile(r"Total number of training tokens: (\d+(?:,\d{3})*)"),
    "vocab_size": re.compile(r"Vocab size: (\d+(?:,\d{3})*)"),
    "num_layers": re.compile(r"num_layers: (\d+(?:,\d{3})*)"),
    "model_dim": re.compile(r"model_dim: (\d+(?:,\d{3})*)"),
    "num_heads": re.compile(r"num_heads: (\d+(?:,\d{3})*)"),
    "accelerator": re.compile(r"GPU: (.+?) \| Peak FLOPS"),
}
_COUNT = re.compile(r"(wte|value_embeds|lm_head|transformer_matrices|scalars|total)\s*: (\d+(?:,\d{3})*)")
_FIRST = "Vocab size"  # printed once, before anything is trained


def parser() -> Parse:
    """A parser of one log's lines."""
    config: list[str] = []  # the lines of "Model config:", an indented JSON object, while it is printed

    def parse(line: str) -> Point | Settings | None:
        if config or line.startswith("Model config:"):
            config.append(line.removeprefix("Model config:"))
            return _config(config)
        if found := _STEP.search(line):
            return _training(found)
        if found := _EVALUATION.search(line):
            value = number(found[3])
            return None if value is None else Point(float(found[1]), {f"val/{found[2]}": value}, training=False)
        if found := _COUNT.match(line):
            return Settings({"num_params" if found[1] == "total" else f"params_{found[1]}": setting(found[2])})
        values = {name: setting(found[1]) for name, look in _SETTINGS.items() if (found := look.search(line))}
        return Settings(values, starts=_FIRST in line) if values else None

    return parse


def _training(found: re.Match[str]) -> Point:
    values = {}
    for name, text, unit in _PAIR.findall(found[3]):
        value, name = number(text), name.strip()
        if value is None:
            continue
        if name == "dt":
            values["step_seconds"] = value * (1e-3 if unit == "ms" else 1.0)
        elif name == "tok/sec":
            values["tokens_per_second"] = value
        elif name in _NAMES:
            values[_NAMES[name]] = value
    return Point(float(found[1]), values, settings={"num_iterations": int(found[2])})


def _config(lines: list[str]) -> Settings | None:
    text = "\n".join(lines)
    if not text.rstrip().endswith("}") and len(lines) < 100:
        return None
    lines.clear()
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return Settings(config) if isinstance(config, dict) else None


NANOCHAT = Stdout(
    name="nanochat",
    reads="stdout of nanochat",
    mark=re.compile(rb"step \d+/\d+ \([\d.]+%\) \| loss: [^\n]*\| lrm: "),
    parser=parser,
)

__all__ = ["NANOCHAT"]
