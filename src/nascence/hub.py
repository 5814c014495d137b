"""Designed networks and hypernetworks on the Hugging Face Hub, each with a model card.

Needs ``pip install 'nascence[hub]'``. Nothing that comes from the hub is unpickled.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from torch import nn

from nascence.design import RunError, load_folded
from nascence.hypernet import GHN
from nascence.hypernet import load as load_hypernetwork
from nascence.hypernet import save as save_hypernetwork
from nascence.hypernet.checkpoint import read_card
from nascence.inference import Classifier, read_classifier

try:
    from huggingface_hub import ModelCard, ModelCardData, ModelHubMixin, snapshot_download
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "nascence.hub needs huggingface_hub; install it with: pip install 'nascence[hub]'",
        name=error.name,
    ) from error

NETWORK = ("model.onnx", "model.safetensors", "checkpoints/trained.safetensors")
SUMMARY = "stages/report.json"
HYPERNETWORK = "ghn.safetensors"
HYPERNETWORK_USE = """```python
from nascence.hub import Hypernetwork
from nascence.hypernet import predict

ghn = Hypernetwork.from_pretrained("THIS_REPOSITORY").ghn
values = predict(model, images, ghn=ghn, labels=labels)
```"""


class DesignedNetwork(ModelHubMixin):
    """The network of a finished run, to be saved for the hub and read back from it.

    ``DesignedNetwork("runs/photos").push_to_hub("me/photos")`` publishes it, ``save_pretrained``
    writes the same files to a folder, and ``DesignedNetwork.from_pretrained`` reads either.

    Args:
        run: Folder of the run, or one that ``save_pretrained`` wrote.

    Raises:
        RunError: The run is not finished.
        ClassifierError: The ONNX file is damaged.
    """

    def __init__(self, run: Path | str) -> None:
        self._hub_mixin_config = None  # what the mixin would write holds a path of this machine
        self.folder = Path(run)
        self.classifier: Classifier = read_classifier(self.folder)
        missing = [name for name in NETWORK if not (self.folder / name).is_file()]
        if missing:
            raise RunError(f"{run} lacks {', '.join(missing)}; finish it with `nascence resume`")

    def module(self) -> nn.Module:
        """The folded network as a PyTorch module.

        Raises:
            CheckpointError: A file is damaged.
        """
        return load_folded(self.folder)

    def summary(self) -> dict[str, Any]:
        """The figures of the run, as its report shows them; empty if they were left out."""
        path = self.folder / SUMMARY
        return dict(json.loads(path.read_text())) if path.is_file() else {}

    def _save_pretrained(self, save_directory: Path) -> None:
        for name in (*NETWORK, SUMMARY):
            source, target = self.folder / name, save_directory / name
            if source.is_file() and source.resolve() != target.resolve():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **settings: Any) -> Self:
        return cls(_folder(model_id, settings))

    def generate_model_card(self, *args: Any, **values: Any) -> ModelCard:
        """Write what a visitor of the hub must know: classes, input, figures, and how to use it.

        Args:
            args: Of the mixin; there are none.
            values: Of the mixin; there are none.
        """
        names, form = self.classifier.class_names, self.classifier.form
        height, width = form.size
        lines = [
            "# A network designed by nascence",
            f"It tells {len(names)} classes apart in images of {width} x {height} pixels "
            f"({'grey' if form.grey else 'colour'}): {_listed(names)}.",
            *_figures(self.summary()),
            "## Use",
            "```console\nnascence classify FOLDER_OF_THIS_REPOSITORY images\n```",
            "or with ONNX Runtime alone: `model.onnx` takes `images`, "
            f"{self.classifier.metadata['input']}, normalises them itself, and gives `logits`. "
            "The names of the classes are in its metadata under `classes`.",
        ]
        return _card("image-classification", lines)


class Hypernetwork(ModelHubMixin):
    """A graph hypernetwork with its card, to be saved for the hub and read back from it.

    Args:
        ghn: The hypernetwork.
        card: How it was trained, and what it reaches.
    """

    def __init__(self, ghn: GHN, card: Mapping[str, Any] | None = None) -> None:
        self._hub_mixin_config = None
        self.ghn = ghn
        self.card = dict(card or {})

    @classmethod
    def read(cls, source: str | Path) -> Self:
        """Read a file that :func:`nascence.hypernet.save` wrote, or released weights by name.

        Raises:
            ValueError: It is not one.
        """
        return cls(load_hypernetwork(source), read_card(source))

    def _save_pretrained(self, save_directory: Path) -> None:
        save_hypernetwork(self.ghn, save_directory / HYPERNETWORK, card=self.card)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **settings: Any) -> Self:
        return cls.read(_folder(model_id, settings) / HYPERNETWORK)

    def generate_model_card(self, *args: Any, **values: Any) -> ModelCard:
        """Write what a visitor of the hub must know: what it is, how it was trained, how to use it.

        Args:
            args: Of the mixin; there are none.
            values: Of the mixin; there are none.
        """
        size = sum(value.numel() for value in self.ghn.parameters())
        lines = [
            "# A graph hypernetwork of nascence",
            f"It predicts all parameters of a network in one forward pass; it has {size:,} itself.",
            "## Use",
            HYPERNETWORK_USE,
        ]
        if self.card:
            rows = [f"| {name} | {_cell(value)} |" for name, value in self.card.items()]
            lines += ["## How it was trained", "\n".join(["| | |", "| --- | --- |", *rows])]
        return _card(None, lines)


def _folder(model_id: str, settings: Mapping[str, Any]) -> Path:
    """The folder of that name, or else a copy of the repository on the hub."""
    if Path(model_id).is_dir():
        return Path(model_id)
    known = ("revision", "cache_dir", "force_download", "local_files_only", "token")
    return Path(snapshot_download(model_id, **{name: settings[name] for name in known}))


def _card(task: str | None, paragraphs: list[str]) -> ModelCard:
    data = ModelCardData(library_name="nascence", pipeline_tag=task, tags=["nascence"])
    return ModelCard("\n\n".join([f"---\n{data.to_yaml()}\n---", *paragraphs]) + "\n")


def _figures(summary: Mapping[str, Any]) -> list[str]:
    """The table of figures of a run, designed and baseline; nothing without a summary."""
    if not summary:
        return []
    rows = [
        f"| {row['name']} | {row['accuracy']:.1%} | {row['parameters']:,} | "
        f"{row['macs'] / 1e6:.2f} | {row['folded_latency_ms']:.2f} |"
        for row in summary["networks"]
    ]
    return [
        f"Measured on {summary['validation_images']:,} validation images:",
        "\n".join(
            (
                "| network | accuracy (higher is better) | parameters | million multiply-adds | "
                "ms for an image on one CPU (lower is better) |",
                "| --- | --- | --- | --- | --- |",
                *rows,
            )
        ),
    ]


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(_cell(name) for name in names[:50])
    return f"{shown} and {len(names) - 50} more" if len(names) > 50 else shown


def _cell(value: Any) -> str:
    """A value as text that Markdown does not read as markup."""
    text = value if isinstance(value, str) else json.dumps(value)
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in text)
