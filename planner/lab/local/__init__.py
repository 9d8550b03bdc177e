"""A lab on this machine: small decoder-only transformers, trained for real on bytes of text.

    plan row --task--> what is trained --worker--> train --> log (one jsonl a run), checkpoints, outcome
    text files --corpus--> bytes to train on and bytes to be judged by, under a hash of what was read

Only `model`, `optimizer`, `checkpoint` and `train` import PyTorch (the extra `[train]`), and only the worker processes import
them. Batches, rates and initial weights are functions of (seed, step), so a run that was killed goes on from its last
checkpoint as if nothing had happened; on a CPU, with the one thread that a worker has, its losses are the same bit for bit.
"""
