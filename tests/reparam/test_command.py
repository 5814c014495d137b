"""A network folded and written, without the command line."""

import torch
from safetensors.torch import load_file

from nascence.reparam import RepVGG, fold, fold_network


def test_a_network_folds_and_writes_weights(tmp_path) -> None:
    torch.manual_seed(0)
    model = RepVGG("A0").train()
    job = fold_network(model, shape=(1, 3, 32, 32), weights=tmp_path / "a0.safetensors", repeats=0)
    assert model.training  # a copy was folded
    assert job.report.before.batch_norms == 61
    assert job.report.after.batch_norms == 0
    assert job.files == (tmp_path / "a0.safetensors",)
    state = load_file(str(tmp_path / "a0.safetensors"))
    assert set(state) == set(job.model.state_dict())
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(job.model(x), fold(model.eval(), x)(x))


def test_the_example_follows_the_generator() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    errors = {
        fold_network(
            model,
            shape=(1, 3, 8, 8),
            repeats=0,
            generator=torch.Generator().manual_seed(1),
        ).report.error
        for _ in range(2)
    }
    assert len(errors) == 1
