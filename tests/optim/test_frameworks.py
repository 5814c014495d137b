"""Learned optimizers train and resume inside Accelerate, the Hugging Face Trainer and Lightning.

``pip install 'nascence[frameworks]'`` brings the three; without one its test is skipped.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nascence.optim import FeedForward, Hierarchical, Learned, LearnedOptimizer, Small

# What the libraries warn of is their own affair, and changes with every version.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.parametrize("make", [Small, Hierarchical, FeedForward]),
    pytest.mark.slow,
]
Make = Callable[[], LearnedOptimizer]


def examples() -> list[dict[str, Tensor]]:
    inputs = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
    return [{"x": x, "labels": x.sum()[None]} for x in inputs]


class Network(nn.Module):
    """A perceptron that returns its loss, as the Trainer wants it."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": (self.layers(x) - labels).square().mean()}


def loss_of(model: nn.Module) -> float:
    rows = examples()
    batch = {key: torch.stack([row[key] for row in rows]) for key in ("x", "labels")}
    with torch.no_grad():
        return model(**batch)["loss"].item()


def vector(model: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in model.parameters()])


def assert_trained_and_resumed(whole: nn.Module, resumed: nn.Module) -> None:
    assert loss_of(whole) < 0.95 * loss_of(Network())  # untrained, they are nearly Adam
    assert torch.equal(vector(whole), vector(resumed))


def test_accelerate(
    make: Make, tmp_path: Path, torchvision_operators: torch.library.Library
) -> None:
    accelerate = pytest.importorskip("accelerate")

    def prepared() -> tuple[Any, ...]:
        accelerator = accelerate.Accelerator(cpu=True)
        model = Network()
        optimizer = Learned(model.parameters(), weights=make())
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        loader: Any = torch.utils.data.DataLoader(examples(), batch_size=32)  # type: ignore[arg-type]
        return accelerator, *accelerator.prepare(model, optimizer, loader, schedule)

    def epoch(accelerator: Any, model: Any, optimizer: Any, loader: Any, schedule: Any) -> None:
        for batch in loader:
            optimizer.zero_grad()
            accelerator.backward(loss := model(**batch)["loss"])
            optimizer.step(lambda loss=loss: loss)
            schedule.step()

    run = prepared()
    for _ in range(4):
        epoch(*run)
    run[0].save_state(str(tmp_path))
    epoch(*run)
    again = prepared()
    again[0].load_state(str(tmp_path))
    epoch(*again)
    assert_trained_and_resumed(run[1], again[1])


def test_the_trainer_of_hugging_face(
    make: Make, tmp_path: Path, torchvision_operators: torch.library.Library
) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")

    def trained(*, resume: bool) -> nn.Module:
        model = Network()
        optimizer = Learned(model.parameters(), weights=make(), num_steps=40)
        arguments = transformers.TrainingArguments(
            str(tmp_path / "trainer"),
            max_steps=40,
            per_device_train_batch_size=32,
            save_steps=20,
            lr_scheduler_type="constant",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            logging_strategy="no",
            max_grad_norm=0.0,
        )
        loop = transformers.Trainer(
            model, arguments, train_dataset=examples(), optimizers=(optimizer, None)
        )
        loop.train(
            resume_from_checkpoint=str(tmp_path / "trainer/checkpoint-20") if resume else None
        )
        return model

    assert_trained_and_resumed(trained(resume=False), trained(resume=True))


def test_lightning(
    make: Make, tmp_path: Path, torchvision_operators: torch.library.Library
) -> None:
    lightning = pytest.importorskip("lightning")

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = Network()

        def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
            return self.network(**batch)["loss"]

        def configure_optimizers(self) -> Any:
            return Learned(self.parameters(), weights=make())

    def trained(epochs: int, checkpoint: Path | None = None) -> tuple[Any, Any]:
        module = Module()
        loop = lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        loader: Any = torch.utils.data.DataLoader(examples(), batch_size=32)  # type: ignore[arg-type]
        loop.fit(module, loader, ckpt_path=checkpoint)
        return module, loop

    _, loop = trained(2)
    loop.save_checkpoint(tmp_path / "lightning.ckpt")
    assert_trained_and_resumed(
        trained(4)[0].network, trained(4, tmp_path / "lightning.ckpt")[0].network
    )
