"""How the list of settings is made."""

import math

import pytest
import torch

from benchmarks.optim.make_opt_list import greedy_order, sample_nadamw
from nascence.optim.baselines.tuned_adam import NAdamWCosine


def test_the_greedy_choice_on_a_table_worked_by_hand() -> None:
    losses = torch.tensor([[0.5, 0.5, 0.5], [0.2, 1.0, 0.6], [0.0, 1.0, 1.4]])
    # Means 0.5, 0.6, 0.8: row 0 is best alone.
    assert greedy_order(losses, 1) == [0]
    # Beside it row 1 leaves (0.2, 0.5, 0.5), mean 0.4, and row 2 leaves (0.0, 0.5, 0.5), mean 1/3:
    # row 2 comes before row 1, which alone is better.
    assert greedy_order(losses, 3) == [0, 2, 1]


def test_when_nothing_improves_the_choice_starts_afresh() -> None:
    # Row 0 is best everywhere. Of the others alone, row 3 (mean 0.4) comes first; beside it row 1
    # leaves (0.2, 0.5) = 0.35, row 2 (0.3, 0.4) = 0.35: equal, and row 1 has the lower mean.
    losses = torch.tensor([[0.0, 0.0], [0.2, 0.7], [0.6, 0.4], [0.3, 0.5]])
    assert greedy_order(losses, 4) == [0, 3, 1, 2]


def test_greedy_equals_trying_all(generator: torch.Generator) -> None:
    losses = torch.rand(12, 9, generator=generator)
    order = greedy_order(losses, 5)
    for length in range(1, 6):
        chosen = losses[order[: length - 1]]
        reached = {
            k: torch.cat([chosen, losses[k : k + 1]]).min(0).values.mean().item()
            for k in range(12)
            if k not in order[: length - 1]
        }
        assert reached[order[length - 1]] == pytest.approx(min(reached.values()))


def test_impossible_orders_are_refused() -> None:
    with pytest.raises(ValueError, match="count is 4"):
        greedy_order(torch.zeros(3, 2), 4)
    with pytest.raises(ValueError, match="not a number"):
        greedy_order(torch.full((3, 2), torch.nan), 1)


def test_half_of_the_lists_space_has_each_choice(generator: torch.Generator) -> None:
    theta = sample_nadamw(4000, generator=generator)
    assert theta.keys() == dict(NAdamWCosine().named_parameters()).keys()
    decayed, penalised = theta["log_shrink"].isfinite(), theta["log_l2"].isfinite()
    assert (decayed | penalised).all()
    shares = {
        "both": (decayed & penalised, 1 / 3),
        "decay alone": (decayed & ~penalised, 1 / 3),
        "nesterov": (theta["nesterov"] == 1, 0.5),
        "warm-up": (theta["warmup"] > 0, 0.5),
        "floor": (theta["floor"] > 0, 0.5),
        "constant": (theta["constant"] < 0.5, 0.5),
    }
    for name, (held, share) in shares.items():
        assert abs(held.float().mean() - share) < 0.04, name
    assert theta["warmup"].max() <= 0.1
    assert theta["warmup"][theta["warmup"] > 0].min() >= 1e-5
    assert math.log(1e-5) <= theta["log_rate"].min() <= theta["log_rate"].max() <= 0
