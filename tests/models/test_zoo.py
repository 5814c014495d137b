"""Networks of timm with weights of a file, and files that are refused."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nascence.models import zoo

NAME = "test_resnet.r160_in1k"
pytestmark = pytest.mark.skipif(find_spec("timm") is None, reason="needs timm")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_file(zoo.timm_network(NAME, classes=7).state_dict(), path)
    return path


def test_grey_images_have_the_sum_of_the_first_kernel(file: Path) -> None:
    coloured = zoo.timm_network_of(NAME, file, classes=2).state_dict()
    grey = zoo.timm_network_of(NAME, file, classes=2, in_channels=1).state_dict()
    (first,) = zoo._names(zoo.timm_network(NAME, classes=2).pretrained_cfg["first_conv"])
    kernel = f"{first}.weight"
    torch.testing.assert_close(grey[kernel], coloured[kernel].sum(1, keepdim=True))


def test_weights_of_another_network_are_refused_in_one_line(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, other)
    with pytest.raises(ValueError, match=r"holds another network than .*are missing; weight and 0"):
        zoo.timm_network_of(NAME, other, classes=2)
    with pytest.raises(ValueError, match="holds another network than test_vit"):
        zoo.timm_network_of("test_vit.r160_in1k", file, classes=2)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04N."])
def test_a_file_that_is_not_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights.safetensors"):
        zoo.timm_network_of(NAME, path, classes=2)


def test_a_name_that_timm_does_not_know_is_said() -> None:
    with pytest.raises(ValueError, match="timm makes no network 'resnet1'"):
        zoo.timm_network("resnet1", classes=2)


def test_weights_that_cannot_be_had_are_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a network, and without the weights in the cache of this machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=r"timm has no weights of .* here: .+"):
        zoo.timm_network(NAME, classes=2, pretrained=True)
