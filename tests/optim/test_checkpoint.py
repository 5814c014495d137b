"""Weights of optimizers go round; other files are refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nascence import registry
from nascence.optim import LearnedOptimizer, Small, create, load, read_card, save
from nascence.optim.theta import flatten


@pytest.mark.parametrize("name", registry.names("optimizer"))
def test_there_and_back(name: str, tmp_path: Path) -> None:
    optimizer = create(name)
    with torch.no_grad():
        for value in optimizer.parameters():
            value.add_(0.5)
    save(optimizer, tmp_path / "a.safetensors", card={"seed": 3})
    again = load(tmp_path / "a.safetensors")
    assert type(again) is type(optimizer)
    assert torch.equal(flatten(again), flatten(optimizer))
    assert read_card(tmp_path / "a.safetensors") == {"seed": 3}


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load(bad)
    save_file({"x": torch.zeros(1)}, bad)
    with pytest.raises(ValueError, match="holds no optimizer"):
        load(bad)
    save_file(
        {"x": torch.zeros(1)},
        bad,
        metadata={
            "format": "nascence-optimizer-1",
            "architecture": "small",
            "settings": "{}",
            "card": "{}",
        },
    )
    with pytest.raises(ValueError, match="do not fit"):
        load(bad)
    with pytest.raises(ValueError, match="not a file, nor the name of released weights"):
        load(tmp_path / "missing")


def test_unknown_architectures_and_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no optimizer architecture .*use one of adam"):
        create("velo")
    with pytest.raises(ValueError, match="wide"):
        create("small", wide=3)

    class Own(Small):
        pass

    own: LearnedOptimizer = Own()
    with pytest.raises(ValueError, match="Own is none of"):
        save(own, tmp_path / "own.safetensors")
