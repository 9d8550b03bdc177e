"""The files that `planner init` writes; NAME stands for the sweep's name."""

SIMULATED = """\
# What do we want to know before the final run? Edit, then: planner propose NAME.toml --dry-run

schema = 1
name = "NAME"
question = "Which small runs de-risk an 8B model on 2T tokens, and what do they cost against it?"
seed = 0

[final]
model = "llama-3-8b"          # `planner models` lists more; or a TOML file of your own
tokens = "2T"
accelerator = "h100"          # `planner hardware` lists more
count = 512
# gpu_hours_per_trillion_tokens = "100K"   # if you measured it; else it is modelled

[price]
usd_per_gpu_hour = 2.35

[exploration]
budget = "0.5x final"
params_active = ["300M", "2B"]
tokens = ["20 per param", "300B"]
count = 128

[[study]]
kind = "scaling"
share = 0.6

[[study]]
kind = "hyperparameters"
share = 0.4
"""

LOCAL = """\
# Small byte-level models, trained on this machine. Edit, then: planner propose NAME.toml --dry-run

schema = 1
name = "NAME"
question = "Do small byte-level runs foretell larger ones on this machine?"
seed = 0

[final]
model = "NAME_model.toml"
tokens = "100M"
accelerator = "NAME_core.toml"
count = 1
precision = "fp32"

[price]
usd_per_gpu_hour = 0.05

[exploration]
budget = "0.05 GPU-hours"      # hours of one core
shapes = [[3, 16, 2], [3, 24, 2], [3, 32, 2]]  # layers, width, heads
tokens = ["500K", "60M"]
unique_tokens = "30M"
count = 2
min_steps = 500

[lab]
kind = "local"

[hyperparameters]
rule = "own"
context_length = 128
precision = "fp32"

[hyperparameters.own]
lr_peak = [0.6, -0.6, 0.15]
batch_tokens = [0.28, 0.0, 0.571]
params = ["9.2K", "148K"]
tokens = ["1M", "4M"]
source = "a pilot of 105 runs (sweeps/tiny_lm/pilot.csv of the planner)"

[[study]]
kind = "scaling"
design = "list"
runs = [
  ["17520", "500K"], ["17520", "900K"], ["17520", "1.6M"], ["17520", "3M"],
  ["33192", "500K"], ["33192", "750K"], ["33192", "1.1M"], ["33192", "1.7M"],
  ["53472", "500K"], ["53472", "650K"], ["53472", "850K"], ["53472", "1.1M"],
]

[[study]]
kind = "holdout"              # forecast first, then trained
runs = [["33192", "3.4M"], ["53472", "2.2M"]]
"""

MODEL = """\
# A byte-level decoder of 0.66M parameters; the small runs keep its proportions (two heads, an MLP of four widths, three layers).
name = "bytes"
family = "bytes"
n_layers = 3
d_model = 128
n_heads = 2
n_kv_heads = 2
head_dim = 64
d_ff = 512
vocab_size = 256
gated_mlp = false
"""

CORE = """\
# One core of a server of 2023 (tests/benchmarks/trainer.py): float32 stands where the planner says bf16.
name = "cpu-core"
bf16_flops = 180e9
measured_matmul_flops = 100e9
memory_bytes = 4e9
memory_bandwidth = 10e9
scaleup_bandwidth_one_way = 10e9
scaleup_domain = 1
per_node = 1
server_power_factor = 1.5
tdp_watts = 8
source = "measured: tests/benchmarks/trainer.py"
"""

FIRST = {
    "simulated": {"{name}.toml": SIMULATED},
    "local": {"{name}.toml": LOCAL, "{name}_model.toml": MODEL, "{name}_core.toml": CORE},
}
