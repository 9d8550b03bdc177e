"""The learning-rate and batch surface."""

import numpy as np
import pytest

from planner.errors import InputError
from planner.fitting.tuning import TuningRuns, _optimum, tune


def surface(sd: float, seed: int = 0, spoil: bool = False) -> TuningRuns:
    """A parabola whose optimum moves as Step Law says, in nine cells of a 5 x 5 grid."""
    rng = np.random.default_rng(seed)
    rows = []
    for params in (1e9, 2.6e9, 7e9):
        for tokens in (20 * params, 60 * params, 140 * params):
            lr, batch = 1.79 * params**-0.713 * tokens**0.307, 0.58 * tokens**0.571
            for f in np.exp(np.linspace(-1, 1, 5)):
                for g in np.exp(np.linspace(-1, 1, 5)):
                    x, y = np.log(f * 1.2), np.log(g * 0.9)  # the grid's middle is not the optimum
                    loss = 2.5 * (params / 1e9) ** -0.03
                    loss *= np.exp(0.5 * 0.0127 * x * x + 0.5 * 0.0122 * y * y - 0.005 * x * y + sd * rng.normal())
                    rows.append((params, tokens * (1 + 1e-4 * g), lr * f, batch * g, loss))
    columns = np.array(rows).T
    if spoil:
        columns[4, ::11] *= 1.015
    return TuningRuns(*columns)


def truth(params: float, tokens: float) -> tuple[float, float]:
    return 1.79 * params**-0.713 * tokens**0.307 / 1.2, 0.58 * tokens**0.571 / 0.9


def test_the_optimum_is_recovered_without_noise_and_extrapolates():
    found = tune(surface(0), params=3.6e10, tokens=1.48e13)
    lr, batch = truth(3.6e10, 1.48e13)
    assert found.lr_peak == pytest.approx(lr, rel=5e-3)
    assert found.batch_tokens == pytest.approx(batch, rel=5e-3)
    assert found.n_cells == 9


@pytest.mark.parametrize("spoil", [False, True], ids=["clean", "with mistuned runs"])
def test_intervals_cover_the_truth_at_about_their_level(spoil):
    lr, batch = truth(7e9, 1e12)
    hits = 0
    for seed in range(40):
        found = tune(surface(1e-3, seed, spoil), params=7e9, tokens=1e12)
        hits += (found.lr_interval[0] < lr < found.lr_interval[1]) + (
            found.batch_interval[0] < batch < found.batch_interval[1]
        )
    assert hits / 80 >= 0.75


def test_a_surface_without_a_minimum_is_refused():
    flat = surface(0)
    falling = TuningRuns(
        flat.params, flat.tokens, flat.lr_peak, flat.batch_tokens, 2.5 - 1e-3 * np.log(flat.lr_peak) ** 2
    )
    with pytest.raises(InputError, match="no minimum"):
        tune(falling, params=7e9, tokens=1e12)


def test_too_few_runs_are_refused():
    few = surface(0)
    with pytest.raises(InputError, match="too few"):
        tune(
            TuningRuns(*(getattr(few, name)[:10] for name in ("params", "tokens", "lr_peak", "batch_tokens", "loss"))),
            params=7e9,
            tokens=1e12,
        )


def test_the_optimums_derivative_agrees_with_differences():
    # What the intervals rest on: d best / d coefficient.
    c = np.array([0.006, -0.002, 0.001, -0.0005, 0.007, 0.003, 0.0004, -0.001, -0.003])
    best, J = _optimum(c, (0.7, -1.2))
    for i, step in enumerate(1e-9 * np.eye(9)):
        numeric = (_optimum(c + step, (0.7, -1.2))[0] - _optimum(c - step, (0.7, -1.2))[0]) / 2e-9
        np.testing.assert_allclose(J[:, i], numeric, rtol=1e-4, atol=1e-6)
    assert np.isfinite(best).all()
