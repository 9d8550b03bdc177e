"""Rents, purchase prices and what an owned hour costs, against published figures."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.costs.accelerators import accelerators, find_accelerator
from planner.costs.energy import EMBODIED_KG_PER_GPU_HOUR, co2_kg, energy_kwh
from planner.costs.ownership import (
    Depreciation,
    Ownership,
    break_even_utilisation,
    capital_usd,
    owned_rate,
)
from planner.costs.prices import Basis, find_grid, find_purchase, find_rent, grids, purchases, rents
from planner.errors import InputError

H100 = find_accelerator("h100")
CARD, US = find_purchase(H100), find_grid("us")
FULL = Ownership(utilisation=1.0)
prices = st.floats(1e3, 1e6)


def test_every_price_has_a_date_a_source_and_a_range_around_it():
    for rent in rents():
        assert rent.low <= rent.usd_per_gpu_hour <= rent.high
    for purchase in purchases():
        assert purchase.low <= purchase.usd <= purchase.high
    for priced in (*rents(), *purchases(), *grids()):
        assert priced.date.startswith("20")
        assert priced.source
    assert {priced.accelerator for priced in (*rents(), *purchases())} <= set(accelerators())


@pytest.mark.parametrize(
    ("name", "usd"), [("a100", 1.30), ("h100", 2.35), ("h800", 2.00), ("h200", 3.50), ("b200", 5.00)]
)
def test_a_chips_first_rent_is_its_default(name, usd):
    assert find_rent(find_accelerator(name)).usd_per_gpu_hour == usd


def test_a_rent_may_be_asked_for_by_basis_or_given():
    assert find_rent(H100, Basis.LIST).usd_per_gpu_hour == 2.95
    assert find_rent(find_accelerator("tpu-v4"), Basis.COMMITTED_3Y).usd_per_gpu_hour == 1.45
    own = find_rent(H100, usd_per_gpu_hour=1.9)
    assert (own.usd_per_gpu_hour, own.low, own.high, own.basis) == (1.9, 1.9, 1.9, Basis.OWN)
    assert find_rent(replace(H100, usd_per_hour=1.5)).usd_per_gpu_hour == 1.5


@pytest.mark.parametrize(("name", "basis", "known"), [("h20", None, "none"), ("h100", Basis.SPOT, "committed_1y")])
def test_a_rent_nobody_quoted_is_refused_with_those_known(name, basis, known):
    with pytest.raises(InputError, match=f"rent is known for {name}") as refusal:
        find_rent(find_accelerator(name), basis)
    assert known in refusal.value.hint


def test_what_is_not_in_the_catalog_is_refused_with_what_is():
    with pytest.raises(InputError, match="no purchase price is known for tpu-v4") as refusal:
        find_purchase(find_accelerator("tpu-v4"))
    assert "h100" in refusal.value.hint
    with pytest.raises(InputError, match="unknown grid 'mars'") as refusal:
        find_grid("mars")
    assert "france" in refusal.value.hint


def test_an_h100_with_server_and_network_costs_60_741_against_published():
    # Cottier et al., arXiv 2405.21015: x 1.64 for the server, network 19 % of the whole
    assert round(capital_usd(CARD, FULL)) == 60_741
    assert round(capital_usd(replace(CARD, usd=34_000, includes_server=True), FULL)) == 41_975


def test_20_000_h100_take_over_a_billion_against_published():
    # Interconnects, 2025-01: CapEx "over $1B" for 10,000 to 50,000 GPUs at $30K
    assert 20_000 * capital_usd(CARD, FULL) == pytest.approx(1.215e9, rel=0.001)


@pytest.mark.parametrize(("years", "usd", "with_server"), [(5, 1.39, 0.96), (4, 1.73, 1.20), (3, 2.31, 1.60)])
def test_capital_an_hour_straight_line_by_hand(years, usd, with_server):
    terms = replace(FULL, years=float(years))
    assert round(owned_rate(H100, CARD, US, terms).capital, 2) == usd
    eighth = replace(CARD, usd=34_000, includes_server=True)
    assert round(owned_rate(H100, eighth, US, terms).capital, 2) == with_server


def test_market_value_falls_by_27_6_per_cent_in_the_first_year_against_published():
    # 0.14 orders of magnitude a year: Cottier et al., arXiv 2405.21015, cost model code
    terms = replace(FULL, years=1.0, depreciation=Depreciation.MARKET_VALUE)
    lost = owned_rate(H100, CARD, US, terms).capital * 8766 / capital_usd(CARD, terms)
    assert round(lost, 3) == 0.276


def test_an_owned_h100_hour_is_within_the_published_range():
    # USD 1.2 to 3.1 all in; electricity about 0.08 of it
    rate = owned_rate(H100, CARD, US, Ownership())
    assert 1.2 < rate.usd_per_gpu_hour < 3.1
    assert rate.electricity == pytest.approx(0.087, abs=0.001)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(prices, st.floats(1, 10), st.floats(0.05, 1.0), st.floats(0, 0.2), st.sampled_from(Depreciation))
def test_the_parts_add_up_and_none_is_negative(usd, years, utilisation, interest, depreciation):
    terms = Ownership(years=years, utilisation=utilisation, capital_rate=interest, depreciation=depreciation)
    rate = owned_rate(H100, replace(CARD, usd=usd), US, terms)
    assert rate.usd_per_gpu_hour == pytest.approx(sum(rate.parts.values()))
    assert min(rate.parts.values()) >= 0
    dearer = owned_rate(H100, replace(CARD, usd=2 * usd), US, terms)
    idler = owned_rate(H100, replace(CARD, usd=usd), US, replace(terms, utilisation=utilisation / 2))
    assert dearer.usd_per_gpu_hour > rate.usd_per_gpu_hour
    assert idler.usd_per_gpu_hour > rate.usd_per_gpu_hour
    assert idler.electricity == rate.electricity


@settings(max_examples=60, deadline=None, derandomize=True)
@given(prices, st.floats(0.5, 20))
def test_at_the_break_even_share_owning_costs_what_renting_does(usd, rent):
    purchase, quoted = replace(CARD, usd=usd), find_rent(H100, usd_per_gpu_hour=rent)
    share = break_even_utilisation(H100, purchase, US, FULL, quoted)
    if share is None:
        assert owned_rate(H100, purchase, US, FULL).usd_per_gpu_hour > rent
    else:
        assert owned_rate(H100, purchase, US, replace(FULL, utilisation=share)).usd_per_gpu_hour == pytest.approx(rent)


@pytest.mark.parametrize(
    "changes", [{"utilisation": 0.0}, {"utilisation": 1.2}, {"years": 0.0}, {"years": math.nan}, {"network_share": 1.0},
                {"operations": -0.1}, {"server_factor": math.inf}]
)  # fmt: skip
def test_terms_that_cannot_be_are_refused(changes):
    with pytest.raises(InputError):
        Ownership(**changes)


def test_energy_and_emissions_against_published():
    # Cottier et al. constants: 1.05 kWh per H100-hour and 0.67 per A100-hour at the wall; 13 g embodied (arXiv 2503.05804)
    assert round(energy_kwh(1.0, H100), 2) == 1.05
    assert round(energy_kwh(1.0, find_accelerator("a100")), 2) == 0.67
    assert co2_kg(1000.0, find_grid("france")) == 57.0
    assert round(463 / (4 * 8766), 3) == EMBODIED_KG_PER_GPU_HOUR


def test_energy_of_a_chip_of_unknown_power_is_refused():
    with pytest.raises(InputError, match="the power of tpu-v5p is not known"):
        energy_kwh(1.0, find_accelerator("tpu-v5p"))
