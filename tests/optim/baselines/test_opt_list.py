"""Greedy lists worked by hand, and against trying every order."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nascence.optim.baselines.opt_list import (
    greedy_order,
    load_opt_list,
    read_opt_list_card,
    save_opt_list,
)
from nascence.optim.baselines.tuned_adam import NAdamWCosine, sample_nadamw


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


def test_a_list_is_saved_and_read(tmp_path: Path, generator: torch.Generator) -> None:
    theta = sample_nadamw(7, generator=generator)
    save_opt_list(theta, tmp_path / "list.safetensors", card={"tasks": 3})
    found = load_opt_list(tmp_path / "list.safetensors")
    assert found.keys() == theta.keys()
    assert all(torch.equal(found[name], theta[name]) for name in theta)
    assert read_opt_list_card(tmp_path / "list.safetensors") == {"tasks": 3}


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_opt_list(tmp_path / "text")
    save_file({"a": torch.zeros(2)}, tmp_path / "other")
    with pytest.raises(ValueError, match="no opt_list"):
        load_opt_list(tmp_path / "other")
    save_opt_list({"a": torch.zeros(2)}, tmp_path / "damaged", card={})
    with pytest.raises(ValueError, match="damaged"):
        load_opt_list(tmp_path / "damaged")


def test_the_released_list_says_where_it_comes_from() -> None:
    theta, card = load_opt_list(), read_opt_list_card()
    assert theta.keys() == dict(NAdamWCosine().named_parameters()).keys()
    assert len(theta["log_rate"]) == 1000
    assert card["tasks"]
    assert card["steps"]
    assert card["candidates"]
    settings = torch.stack([theta[name] for name in sorted(theta)], 1)
    assert len(settings.unique(dim=0)) == 1000
