"""Weights of hypernetworks go round; others are refused."""

from pathlib import Path

import pytest
import torch

from nascence.hypernet import GHN, load, load_into, read_card, save

SMALL = (8, 8, 3, 3)


def test_round_trip_with_card(tmp_path: Path) -> None:
    ghn = GHN(width=8, max_shape=SMALL, virtual_edges=False)
    path = tmp_path / "ghn.safetensors"
    save(ghn, path, card={"data": "none", "accuracy": 0.1})
    again = load(path)
    assert again.settings == ghn.settings
    for name, value in ghn.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert read_card(path) == {"data": "none", "accuracy": 0.1}
    assert list(tmp_path.iterdir()) == [path]


def test_another_configuration_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "ghn.safetensors"
    save(GHN(width=8, max_shape=SMALL), path)
    other = GHN(width=16, max_shape=SMALL)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(ValueError, match="width is 8 in the file and 16 here"):
        load_into(other, path)
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())
    same = GHN(width=8, max_shape=SMALL)
    load_into(same, path)
    assert torch.equal(same.class_bias.weight, load(path).class_bias.weight)


def test_files_that_are_no_hypernetwork(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    with pytest.raises(ValueError, match="is not a file, nor the name of released weights"):
        load(tmp_path / "missing")
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"\x80\x04not a tensor file")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load(garbage)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(2)}, foreign)
    with pytest.raises(ValueError, match="holds no hypernetwork"):
        load(foreign)
