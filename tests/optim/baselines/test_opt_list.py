"""Greedy lists worked by hand, and against trying every order."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from benchmarks.optim.make_opt_list import sample_nadamw, save_opt_list
from nascence.optim.baselines.opt_list import load_opt_list, read_opt_list_card
from nascence.optim.baselines.tuned_adam import NAdamWCosine


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
