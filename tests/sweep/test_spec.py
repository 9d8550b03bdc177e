"""The sweep file: what is accepted, and every refusal with its place and hint."""

import pytest
from truths import REPOSITORY

from planner.errors import InputError
from planner.models.parameters import count_parameters
from planner.quantities import Unit
from planner.sweep.spec import read_sweep

GOOD = """
schema = 1
name = "small"
question = "What?"
[final]
model = "llama-3-8b"
tokens = "2T"
accelerator = "h100"
count = 512
[exploration]
budget = "0.5x final"
params_active = ["1B", "3B"]
tokens = ["20 per param", "300B"]
count = 64
[[study]]
kind = "scaling"
share = 1.0
"""


@pytest.fixture
def refused(tmp_path):
    def check(old: str, new: str) -> InputError:
        path = tmp_path / "sweep.toml"
        assert old in GOOD
        path.write_text(GOOD.replace(old, new, 1))
        with pytest.raises(InputError) as caught:
            read_sweep(path)
        assert str(path) in caught.value.message
        assert caught.value.hint
        return caught.value

    return check


def test_a_good_sweep_is_read_with_raw_units(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(GOOD)
    file = read_sweep(path).file
    assert file.final.tokens == 2e12
    assert file.exploration.budget.unit is Unit.FINAL
    assert file.exploration.tokens[0].tokens(1e9) == 2e10
    assert file.exploration.tokens[1].tokens(1e9) == 3e11


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('tokens = "2T"', 'token = "2T"', "unknown key final.token"),
        ('name = "small"', 'nam = "small"\nname = "small"', "unknown key nam"),
        ("share = 1.0", "share = 1.0\nbudgett = 3", "unknown key study.1.budgett"),
        ('tokens = "2T"', 'tokens = "2 TB"', "final.tokens: '2 TB' has the unknown unit 'TB'"),
        ('"0.5x final"', '"-0.5x final"', "exploration.budget: '-0.5x final' is not above zero"),
        ('"0.5x final"', '"0x final"', "is not above zero"),
        ('"0.5x final"', '"12"', "'12' is not a budget"),
        ('["1B", "3B"]', '["3B", "1B"]', "the size range 3e+09 to 1e+09 is empty"),
        ('["1B", "3B"]', '["1B", "1B"]', "the size range"),
        ('["1B", "3B"]', "[]", "exploration.params_active"),
        ('["20 per param", "300B"]', '["300B", "20 per param"]', "is empty at 1e+09 active parameters"),
        ("schema = 1", "schema = 2", "schema = 2"),
        ("schema = 1", "", "schema is missing"),
        ("count = 64", "", "exploration.count is missing"),
        ("count = 64", "count = 0", "exploration.count = 0"),
        ("count = 64", 'count = "many"', "exploration.count = 'many'"),
        ("share = 1.0", "share = 1.5", "study.1.share = 1.5"),
        ('kind = "scaling"', 'kind = "scalling"', "study.1.kind = 'scalling'"),
        ('kind = "scaling"', 'kind = "hyperparameters"', "there is no scaling study"),
        ("share = 1.0", 'share = 0.6\n[[study]]\nkind = "hyperparameters"\nshare = 0.6', "the shares add up to 1.2"),
        ("share = 1.0", 'share = 0.6\n[[study]]\nkind = "ideas"\nshare = 0.3', "go together"),
        ('name = "small"', 'name = "../small"', "name = '../small'"),
        ("[final]", "[final", "not TOML"),
    ],
)
def test_bad_input_is_refused_with_file_key_value(refused, old, new, says):
    assert says in refused(old, new).message


def test_an_unknown_key_names_the_nearest(refused):
    assert "'tokens'" in refused('tokens = "2T"', 'tokns = "2T"').hint


@pytest.mark.parametrize("name", ["baseline", "twice"])
def test_two_ideas_of_one_name_are_refused(refused, name):
    ideas = "".join(f'[[idea]]\nname = "{n}"\n' for n in ("twice", name))
    text = f'share = 0.6\n[[study]]\nkind = "ideas"\nshare = 0.3\n{ideas}'
    assert f"the name {name!r} is taken" in refused("share = 1.0", text).message


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_sweep(tmp_path / "nowhere.toml")


def test_unknown_model_and_accelerator_are_refused(tmp_path):
    for old, new in (("llama-3-8b", "lama-3-8b"), ("h100", "h1000")):
        path = tmp_path / "sweep.toml"
        path.write_text(GOOD.replace(old, new))
        with pytest.raises(InputError, match=f"unknown .*'{new}'") as caught:
            read_sweep(path)
        assert old in caught.value.hint


def test_a_model_config_and_an_accelerator_may_be_files_beside_the_sweep(tmp_path):
    text = (REPOSITORY / "sweeps" / "deepseek_v3.toml").read_text()
    text = text.replace('"deepseek-v3"', '"config.json"').replace('accelerator = "h800"', 'accelerator = "ours.toml"')
    (tmp_path / "s.toml").write_text(text)
    (tmp_path / "config.json").write_text('{"model_type": "deepseek_v3", "num_nextn_predict_layers": 1}')
    (tmp_path / "ours.toml").write_text('like = "h800"\nmemory_bytes = 96e9')
    sweep = read_sweep(tmp_path / "s.toml")
    assert count_parameters(sweep.model).total == 671_026_419_200
    assert (sweep.accelerator.name, sweep.accelerator.memory_bytes) == ("ours", 96e9)
    (tmp_path / "ours.toml").write_text('like = "h800"\nmemory_bytes = 100e9')
    assert read_sweep(tmp_path / "s.toml").sha256 != sweep.sha256
    (tmp_path / "ours.toml").unlink()
    with pytest.raises(InputError, match=r"final: no file .*ours\.toml"):
        read_sweep(tmp_path / "s.toml")
