"""Plans whose names want to be run, and what a shell really does with the scripts made of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pandas as pd
from hypothesis import strategies as st

PWNED = "PWNED"
NASTY = (
    f"$(touch {PWNED})", f"`touch {PWNED}`", f"'; touch {PWNED}; '", f'"; touch {PWNED}; "', f"a\ntouch {PWNED}\n", "=1+1",
    f"x' $(touch {PWNED}) '", "\x1b[31mred\x1b[0m", "[/x]", "%s%n", "-rf", "--help", "*", "~", "a b", "\\", "\\'", '\\"', "${HOME}",
    "$(PLANNER_RUN_ID)", "$$(x)", "$$", "#SBATCH --wrap=x", "\r\n", "\t", "é‮x", "\u2028", "\x85", "\x7f", "\ufeff", "\ufffe", "😀",
    "a: b", "- a", "null", "yes", "1e5", "0x10", "{}", "[]", "!!python/object", "&a", "*a", "|", ">", "%TAG", "---", "...",
    "\n---\n", "a,b", "a=b", "${now:}", "\\${x}", "'${x}'", "../../etc", "/", ".", "..", "x" * 300, " lead", "trail ",
)  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
    st.lists(st.sampled_from(NASTY), min_size=2, max_size=3).map("".join),
)
NAMES = st.lists(TEXTS, min_size=1, max_size=4, unique=True)


def plan(names: list[str], **columns: object) -> pd.DataFrame:
    """A run for every name, which is also its idea's and its study's."""
    size = {
        "n_layers": 12,
        "d_model": 768,
        "n_heads": 12,
        "n_kv_heads": 12,
        "head_dim": 64,
        "d_ff": 3072,
        "vocab_size": 50304,
    }
    recipe = {
        "tokens": 2_621_440_000,
        "batch_tokens": 524_288,
        "steps": 5000,
        "context_length": 2048,
        "lr_peak": 0.0015,
        "seed": 7,
    }
    more = {
        "warmup_tokens": 52_428_800,
        "weight_decay": 0.1,
        "schedule": "cosine",
        "optimizer": "adamw",
        "precision": "bf16",
    }
    cost = {"accelerator": "h100", "n_accelerators": 8, "gpu_hours": 24.0}
    texts = pd.Series(names, dtype=object)  # as readers give them, also what no file can hold
    named = dict.fromkeys(("run_id", "study", "variant", "purpose", "model", "group"), texts)
    return pd.DataFrame({**named, **size, **recipe, **more, **cost, **columns})


ARGV = "printf '%s\\0'"  # a trainer that prints what it is given


def bash(script: str, folder: Path, *arguments: str, **environment: str) -> list[str]:
    """The NUL-separated words that a script prints when bash runs it in `folder`; it must not fail or touch PWNED."""
    path = {"PATH": f"{environment.pop('first', '')}:/usr/local/bin:/usr/bin:/bin", "HOME": "/nowhere"}
    done = subprocess.run(
        ["bash", "-s", "--", *arguments],
        input=script.encode(),
        cwd=folder,
        env={**path, **environment},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert not list(folder.rglob(PWNED))
    return done.stdout.decode().split("\0")[:-1]


def write(files: dict[str, bytes], folder: Path) -> None:
    """The files of an export in a folder."""
    for name, content in files.items():
        assert not name.startswith("/")
        assert ".." not in Path(name).parts
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def check_syntax(folder: Path) -> None:
    """`bash -n` on every script."""
    scripts = [str(path) for path in folder.rglob("*") if path.suffix in (".sh", ".sbatch")]
    done = subprocess.run(
        ["bash", "-c", 'for f in "$@"; do bash -n "$f" || exit 1; done', "x", *scripts],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
