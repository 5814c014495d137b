"""Files of weights go round; cut, damaged and foreign ones are refused."""

from pathlib import Path

import pytest
import torch

from nascence.core.weights import find_weights, read_weights, write_weights


def test_tensors_and_metadata_go_round(tmp_path: Path) -> None:
    shared = torch.arange(6.0).view(2, 3)
    path = tmp_path / "a.safetensors"
    write_weights(
        path, {"a": shared, "b": shared.t()}, metadata={"format": "x", "card": '{"k": 1}'}
    )
    found = read_weights(path, of="thing", format="x")
    assert found.tensors["a"].equal(shared)
    assert found.tensors["b"].equal(shared.t())
    assert found.values("card", path) == {"k": 1}
    assert path.stat().st_mode & 0o044  # others may read it


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_weights(path, {"a": torch.ones(1)}, metadata={"format": "x"})
    with pytest.raises(ValueError, match="holds no thing: its format is 'x'"):
        read_weights(path, of="thing", format="y")
    assert read_weights(path, of="thing").tensors.keys() == {"a"}


@pytest.mark.parametrize("card", [None, "", "[1]", '{"a"', "[" * 100_000])
def test_a_damaged_card_is_one_line(tmp_path: Path, card: str | None) -> None:
    path = tmp_path / "a.safetensors"
    metadata = {"format": "x"} if card is None else {"format": "x", "card": card}
    write_weights(path, {"a": torch.ones(1)}, metadata=metadata)
    with pytest.raises(ValueError, match=r"the card in .*a\.safetensors is damaged"):
        read_weights(path, of="thing").values("card", path)


def test_every_cut_of_a_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_weights(path, {"a": torch.ones(3)}, metadata={"format": "x"})
    whole = path.read_bytes()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match="not a readable safetensors file") as caught:
            read_weights(path, of="thing")
        assert "\n" not in str(caught.value)


def test_released_weights_are_found_by_name(tmp_path: Path) -> None:
    assert find_weights("ghn2-cifar10", of="hypernetwork", start="ghn").suffix == ".safetensors"
    (tmp_path / "own").touch()
    assert find_weights(tmp_path / "own", of="hypernetwork", start="ghn") == tmp_path / "own"
    with pytest.raises(ValueError, match=r"released weights \(.*ghn2-cifar10.*give the") as caught:
        find_weights("ghn9", of="hypernetwork", start="ghn")
    assert "optimizer" not in str(caught.value)
