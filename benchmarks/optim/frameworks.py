"""Learned optimizers inside of Accelerate, the Hugging Face Trainer and Lightning.

    pip install accelerate transformers lightning
    python -m benchmarks.optim.frameworks

Each trains a small perceptron with each learned optimizer, unchanged, and says whether the loss
fell; Accelerate and the Trainer also stop, load their checkpoint, and must come out at the same
weights. A package that is not installed is named.
"""

import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import ledger
from nascence.optim import FeedForward, Hierarchical, Learned, LearnedOptimizer, Small

OPTIMIZERS: dict[str, Callable[[], LearnedOptimizer]] = {
    "small": Small,
    "hierarchical": Hierarchical,
    "feed-forward": FeedForward,
}
COLUMNS = ("framework", "optimizer", "loss before", ("loss after", "", "lower"), "resumed")
ROWS = 256


def examples() -> list[dict[str, Tensor]]:
    inputs = torch.randn(ROWS, 8, generator=torch.Generator().manual_seed(0))
    return [{"x": x, "labels": x.sum()[None]} for x in inputs]


class Network(nn.Module):
    """A perceptron that returns its loss, as the Trainer wants it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": (self.layers(x) - labels).square().mean()}


def whole_loss(model: nn.Module) -> float:
    rows = examples()
    batch = {key: torch.stack([row[key] for row in rows]) for key in ("x", "labels")}
    with torch.no_grad():
        return model(**batch)["loss"].item()


def vector(model: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in model.parameters()])


def accelerate(make: Callable[[], LearnedOptimizer], folder: Path) -> tuple[nn.Module, bool]:
    from accelerate import Accelerator

    def prepared() -> tuple[Any, ...]:
        accelerator = Accelerator(cpu=True)
        model = Network()
        optimizer = Learned(model.parameters(), weights=make())
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        loader: Any = torch.utils.data.DataLoader(examples(), batch_size=32)  # type: ignore[arg-type]
        return accelerator, *accelerator.prepare(model, optimizer, loader, schedule)

    def epoch(accelerator: Any, model: Any, optimizer: Any, loader: Any, schedule: Any) -> None:
        for batch in loader:
            optimizer.zero_grad()
            accelerator.backward(model(**batch)["loss"])
            optimizer.step()
            schedule.step()

    run = prepared()
    for _ in range(4):
        epoch(*run)
    run[0].save_state(str(folder))
    epoch(*run)
    again = prepared()
    again[0].load_state(str(folder))
    epoch(*again)
    return run[1], torch.equal(vector(run[1]), vector(again[1]))


def trainer(make: Callable[[], LearnedOptimizer], folder: Path) -> tuple[nn.Module, bool]:
    from transformers import Trainer, TrainingArguments

    def trained(steps: int, *, resume: bool) -> nn.Module:
        model = Network()
        optimizer = Learned(model.parameters(), weights=make())
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        arguments = TrainingArguments(
            str(folder / "trainer"),
            max_steps=steps,
            per_device_train_batch_size=32,
            save_steps=20,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            logging_strategy="no",
            max_grad_norm=0.0,
        )
        loop = Trainer(model, arguments, train_dataset=examples(), optimizers=(optimizer, schedule))
        loop.train(resume_from_checkpoint=str(folder / "trainer/checkpoint-20") if resume else None)
        return model

    model = trained(40, resume=False)
    return model, torch.equal(vector(model), vector(trained(40, resume=True)))


def lightning(make: Callable[[], LearnedOptimizer], folder: Path) -> tuple[nn.Module, bool]:
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = Network()

        def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
            return self.network(**batch)["loss"]

        def configure_optimizers(self) -> Any:
            return Learned(self.parameters(), weights=make())

    def trained(epochs: int, checkpoint: str | None) -> tuple[Any, Any]:
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

    loop = trained(2, None)[1]
    loop.save_checkpoint(folder / "lightning.ckpt")
    resumed = trained(4, str(folder / "lightning.ckpt"))[0]
    whole = trained(4, None)[0]
    return whole.network, torch.equal(vector(whole), vector(resumed))


def main(words: Sequence[str] | None = None) -> None:
    options = ledger.parse(ledger.parser(__doc__), words)
    warnings.simplefilter("ignore")
    ledger.torchvision_operators()
    before = whole_loss(Network())
    frameworks = {"Accelerate": accelerate, "Hugging Face Trainer": trainer, "Lightning": lightning}
    with ledger.Report(options) as report:
        table = report.table("Learned optimizers in other frameworks", *COLUMNS)
        for name, run in frameworks.items():
            for kind, make in OPTIMIZERS.items():
                with tempfile.TemporaryDirectory() as folder:
                    try:
                        model, same = run(make, Path(folder))
                    except ModuleNotFoundError as error:
                        print(f"{name}: {error}; not tried")
                        break
                after = whole_loss(model)
                resumed = "bit-equal" if same else "different"
                table.row(name, kind, f"{before:.3f}", f"{after:.3f}", resumed)


if __name__ == "__main__":
    main()
