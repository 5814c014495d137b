"""Networks by name, of this package and of libraries, and files of weights."""

import random
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nascence.cli.networks import network
from nascence.models import build

PYTHON = """
import torch
class Small(torch.nn.Linear):
    def __init__(self):
        super().__init__(4, 2)
ready = Small()
def number():
    return 3
def broken():
    raise KeyError("gone")
"""


def test_names_of_the_package() -> None:
    model = network("resnet20", classes=7, in_channels=1)
    assert model(torch.zeros(1, 1, 16, 16)).shape == (1, 7)
    with pytest.raises(ValueError, match="did you mean resnet20"):
        network("resnet_20", classes=7)


@pytest.mark.parametrize("separator", ["/", ":"])
def test_names_of_the_libraries(separator: str, torchvision_operators) -> None:
    pytest.importorskip("timm")
    pytest.importorskip("torchvision")
    for name, side in (("timm", "resnet10t"), ("torchvision", "squeezenet1_1")):
        model = network(f"{name}{separator}{side}", classes=5)
        assert model.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 5)
    with pytest.raises(ValueError, match="timm makes no network 'nothing'"):
        network(f"timm{separator}nothing", classes=5)
    with pytest.raises(ValueError, match="torchvision makes no network 'nothing'"):
        network(f"torchvision{separator}nothing", classes=5)
    with pytest.raises(ValueError, match="images have 1 channels"):
        network(f"torchvision{separator}squeezenet1_1", classes=5, in_channels=1)


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_a_missing_library_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ModuleNotFoundError) as caught:
        network(f"{library}/resnet50", classes=5)
    assert caught.value.name == library


def test_weights_fill_the_named_network(tmp_path: Path) -> None:
    state = build("resnet20", classes=3).state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pt"):
        model = network(str(tmp_path / name), classes=3, architecture="resnet20")
        assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    with pytest.raises(ValueError, match="does not fit the architecture"):
        network(str(tmp_path / "a.pt"), classes=4, architecture="resnet20")
    with pytest.raises(ValueError, match="name its network with --architecture"):
        network(str(tmp_path / "a.pt"), classes=3)
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        network(str(tmp_path / "b.pt"), classes=3, architecture="resnet20")
    with pytest.raises(ValueError, match="--architecture goes with a file"):
        network("resnet20", classes=3, architecture="resnet20")


def test_networks_of_branches() -> None:
    model = network("mobileone-s0", classes=3).eval()
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    with pytest.raises(ValueError, match="takes 3"):
        network("repvgg-a0", classes=3, in_channels=1)


@pytest.mark.parametrize("name", ["bad.pt", "bad.safetensors"])
def test_damaged_files_are_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="not a checkpoint of weights"):
        network(str(tmp_path / name), classes=3, architecture="resnet20")


class Runs:
    """Unpickling an object of this class would leave a trace."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("import os; os.environ['UNPICKLED'] = '1'",))


def test_files_are_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNPICKLED", raising=False)
    torch.save({"weight": Runs()}, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match="not a checkpoint of weights"):
        network(str(tmp_path / "bad.pt"), classes=3, architecture="resnet20")
    import os

    assert "UNPICKLED" not in os.environ


def test_a_network_of_a_python_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PYTHON)
    for name in ("Small", "ready"):
        assert network(f"{file}:{name}", classes=2)(torch.zeros(1, 4)).shape == (1, 2)
    for name, message in (
        ("nothing", "is not there"),
        ("number", "gives a int"),
        ("broken", "KeyError"),
    ):
        with pytest.raises(ValueError, match=message):
            network(f"{file}:{name}", classes=2)
    with pytest.raises(FileNotFoundError, match="no Python file"):
        network(f"{tmp_path}/other.py:Small", classes=2)
    with pytest.raises(ValueError, match=r"give a name, timm/NAME"):
        network("keras/thing", classes=2)


def test_classes_are_read_off_the_file(tmp_path: Path) -> None:
    torch.save(build("resnet20", classes=7).state_dict(), tmp_path / "a.pt")
    model = network(str(tmp_path / "a.pt"), architecture="resnet20")
    assert model.eval()(torch.zeros(1, 3, 16, 16)).shape == (1, 7)
    with pytest.raises(ValueError, match="does not fit the architecture"):
        network(str(tmp_path / "a.pt"), architecture="resnet32")


def test_a_whole_network_is_not_said_to_be_weights(tmp_path: Path) -> None:
    torch.save(build("resnet20", classes=3), tmp_path / "whole.pt")
    with pytest.raises(ValueError, match=r"such as a whole network; save its state_dict"):
        network(str(tmp_path / "whole.pt"))
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="holds a list without names"):
        network(str(tmp_path / "list.pt"), architecture="resnet20")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_any_damage_to_a_file_of_weights_is_one_value_error(
    suffix: str, seed: int, tmp_path: Path
) -> None:
    state = {"weight": torch.randn(3, 4), "bias": torch.randn(3)}
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"damaged{suffix}"
    torch.save(state, whole) if suffix == ".pt" else save_file(state, whole)
    content, rng = whole.read_bytes(), random.Random(seed)
    for _ in range(25):
        damaged = bytearray(content[: rng.randrange(len(content) + 1)])
        if rng.random() < 0.6:
            damaged = bytearray(content)
        for _ in range(rng.randrange(1, 9)):
            if damaged:
                damaged[rng.randrange(min(len(damaged), 400))] = rng.randrange(256)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"is not a checkpoint|does not fit"):
            network(str(path), architecture="resnet20")


def test_a_python_file_that_exits_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "exits.py"
    file.write_text("raise SystemExit(0)")
    with pytest.raises(ValueError, match="failed: SystemExit"):
        network(f"{file}:Net", classes=2)
