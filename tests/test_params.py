import errno
import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from nascence import params


def test_parameters_go_round() -> None:
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    loaded = params.load(other, params.of(model))
    assert torch.equal(loaded.weight, model.weight)
    assert not torch.equal(other.weight, model.weight)


def test_parameters_are_copies() -> None:
    model = nn.Linear(3, 2)
    taken = params.of(model)
    taken["weight"].zero_()
    assert model.weight.abs().sum() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.pop("bias"), "missing, the first is 'bias'"),
        (lambda p: p.update(extra=torch.zeros(1)), "no parameter 'extra'"),
        (lambda p: p.update(bias=torch.zeros(5)), r"'bias' has shape \(5,\).*needs \(2,\)"),
    ],
)
def test_wrong_parameters_are_named(change, message) -> None:
    taken = params.of(nn.Linear(3, 2))
    change(taken)
    with pytest.raises(ValueError, match=message):
        params.load(nn.Linear(3, 2), taken)


def test_checkpoint_goes_round(tmp_path: Path) -> None:
    content = {"weights": {"a": torch.arange(3.0)}, "step": 7}
    params.save_checkpoint(tmp_path / "deep" / "a.pt", content)
    read = params.load_checkpoint(tmp_path / "deep" / "a.pt")
    assert read["step"] == 7
    assert torch.equal(read["weights"]["a"], content["weights"]["a"])
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.pt"]


def test_full_disk_keeps_the_earlier_checkpoint(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.pt"
    params.save_checkpoint(path, {"step": 1})

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(params.CheckpointError, match=r"No space left.*free some space") as caught:
        params.save_checkpoint(path, {"step": 2})
    assert "\n" not in str(caught.value)
    assert params.load_checkpoint(path) == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pt"]


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", pickle.dumps(Bomb(), protocol=2)])
def test_foreign_files_are_refused(tmp_path: Path, monkeypatch, content: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(params.CheckpointError, match="not a checkpoint"):
        params.load_checkpoint(tmp_path / "a.pt")
    assert not (tmp_path / "exploded").exists()
