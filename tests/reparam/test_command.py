import pytest
import torch
from safetensors.torch import load_file

from nascence.reparam import RepVGG, fold, fold_network


def test_a_name_folds_and_writes_weights(tmp_path) -> None:
    job = fold_network(
        "repvgg-a0", shape=(1, 3, 32, 32), weights=tmp_path / "a0.safetensors", repeats=0
    )
    assert job.report.before.batch_norms == 61
    assert job.report.after.batch_norms == 0
    assert job.files == (tmp_path / "a0.safetensors",)
    state = load_file(str(tmp_path / "a0.safetensors"))
    assert set(state) == set(job.model.state_dict())


def test_a_checkpoint_needs_its_architecture_and_fits(tmp_path) -> None:
    torch.manual_seed(0)
    model, path = RepVGG("A0").eval(), tmp_path / "a0.pt"
    torch.save({"state_dict": model.state_dict()}, path)
    job = fold_network(path, architecture="repvgg-a0", shape=(1, 3, 32, 32), repeats=0)
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(job.model(x), fold(model, x)(x))
    with pytest.raises(ValueError, match="name its architecture"):
        fold_network(path)
    with pytest.raises(ValueError, match="does not fit the architecture"):
        fold_network(path, architecture="mobileone-s0")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet", "no network 'resnet'"),
        ("repvgg-z9", "no RepVGG"),
        ("mobileone-s7", "no MobileOne"),
    ],
)
def test_unknown_names_are_one_line(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fold_network(name)


def test_damaged_and_missing_files_are_one_line(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        fold_network(tmp_path / "none.pt", architecture="repvgg-a0")
    for name in ("bad.pt", "bad.safetensors"):
        (tmp_path / name).write_bytes(b"not a checkpoint")
        with pytest.raises(ValueError, match="not a checkpoint of weights"):
            fold_network(tmp_path / name, architecture="repvgg-a0")
