"""A teacher: a trained network whose soft answers train a small one."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nascence.core.weights import read_weights, write_weights
from nascence.data import Dataset
from nascence.design.families.pretrained import fitted
from nascence.design.folder import RunError
from nascence.design.run import Run
from nascence.onnx_session import onnx_session

WEIGHT = 0.5
"""Share of the teacher's answers in what a network is trained to say; the rest are the labels."""
BATCH = 250


def soft_labels(run: Run) -> Tensor | None:
    """What a network is trained to say of each training image, ``(N, classes)``, rows adding to 1.

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2, at
    temperature 1: half the answers of the teacher to the image and its mirror image, half the
    label. It answers once, before the training, so that it may be large; the answers are kept.

    Args:
        run: Its setting ``teacher`` names the folder of a finished run, the ``model.onnx`` of one,
            or a network of timm as ``NAME`` or ``NAME=FILE``, whose classifier is then fitted to
            the training images. None without a teacher.

    Raises:
        ValueError: There is no such network, or its classes or images are others.
    """
    source = run.settings.teacher
    if source is None:
        return None
    kept = run.path / "checkpoints" / "teacher.safetensors"
    if kept.exists():
        return read_weights(kept, of="teacher's answers").tensors["soft_labels"]
    path = Path(source)
    if path.exists():
        answer = _exported(path / "model.onnx" if path.is_dir() else path, run.data)
    else:
        answer = _of_timm(source, run)
    answers = []
    for places in torch.arange(len(run.data.train)).split(BATCH):
        batch, _ = run.data.train.take(places)
        answers.append((answer(batch) + answer(batch.flip(-1))) / 2)
    truth = torch.nn.functional.one_hot(run.data.train.labels, run.data.classes).float()
    mixed = WEIGHT * torch.cat(answers) + (1 - WEIGHT) * truth
    write_weights(kept, {"soft_labels": mixed}, metadata={})
    return mixed


Answer = Callable[[Tensor], Tensor]
"""Chances ``(B, classes)`` of the classes of the data, for uint8 images ``(B, C, H, W)``."""


def _of_timm(source: str, run: Run) -> Answer:
    """A network of timm whose classifier is fitted to the training images."""
    model = fitted(source, run).eval()

    @torch.no_grad()
    def answer(images: Tensor) -> Tensor:
        chances: Tensor = model(run.data.normalise(images)).softmax(1)
        return chances

    return answer


def _exported(path: Path, data: Dataset) -> Answer:
    """A network that nascence exported, its classes matched by name."""
    session, names = _opened(path)
    order = _matched(names, data, path)
    shape = tuple(session.get_inputs()[0].shape[1:])
    if shape != tuple(data.image_shape):
        raise RunError(
            f"the teacher {path} takes images {shape} and those of this run are "
            f"{data.image_shape}; give the teacher's size with --size"
        )

    def answer(images: Tensor) -> Tensor:
        inputs = {"images": (images.float() / 255).contiguous().numpy()}
        return torch.from_numpy(session.run(["logits"], inputs)[0])[:, order].softmax(1)

    return answer


def _opened(path: Path) -> tuple[Any, list[str]]:
    """An onnxruntime session of the file, and the classes that it names."""
    if not path.is_file():
        raise RunError(
            f"there is no teacher {path}; give the folder of a finished run, or its ONNX"
        )
    try:
        session = onnx_session(path, threads=torch.get_num_threads())
        names = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
        names = [str(name) for name in names]
    except Exception as error:  # onnxruntime's errors have no common class
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"{path} is no network that nascence exported ({reason})") from error
    return session, names


def _matched(names: Sequence[str], data: Dataset, path: Path) -> list[int]:
    """The place of each class of the data among the teacher's, by name."""
    lacking = [name for name in data.class_names if name not in names]
    if lacking:
        raise RunError(
            f"the teacher {path} does not know the class {lacking[0]!r}"
            + (f" and {len(lacking) - 1} others" if len(lacking) > 1 else "")
            + f"; it knows {', '.join(names[:10])}"
        )
    return [names.index(name) for name in data.class_names]
