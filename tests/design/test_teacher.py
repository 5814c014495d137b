"""A teacher's answers: mixed with the labels, matched by name, kept, and refused."""

import dataclasses
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from nascence import export
from nascence.data import Dataset
from nascence.design import teacher
from nascence.design.families import stages
from nascence.design.folder import RunError
from nascence.design.results import TrainingPlan
from nascence.design.run import Run


class Certain(nn.Module):
    """Answers every image with the same logits."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((1, 2, 3))[:, None] * 0 + self.logits


@pytest.fixture
def exported(tmp_path: Path, noise: Dataset) -> Callable[..., Path]:
    def make(*names: str, **changes: object) -> Path:
        path = tmp_path / "teacher.onnx"
        data = dataclasses.replace(noise, class_names=names or noise.class_names, **changes)
        export.export_onnx(Certain(2.0, 1.0, 0.0), path, data=data)
        return path

    return make


def test_labels_are_half_the_answers_and_half_the_truth(
    run_of: Callable[..., Run], exported: Callable[..., Path]
) -> None:
    run = run_of(teacher=str(exported()))
    found = teacher.soft_labels(run)
    chances = torch.tensor([2.0, 1.0, 0.0]).softmax(0)
    truth = torch.eye(3)[run.data.train.labels]
    torch.testing.assert_close(found, (chances + truth) / 2)


def test_classes_are_matched_by_name(
    run_of: Callable[..., Run], exported: Callable[..., Path]
) -> None:
    found = teacher.soft_labels(run_of(teacher=str(exported("c", "a", "b"))))
    chances = torch.tensor([1.0, 0.0, 2.0]).softmax(0)  # of a, b and c
    torch.testing.assert_close(found[0], (chances + torch.tensor([1.0, 0, 0])) / 2)


def test_answers_are_kept(run_of: Callable[..., Run], exported: Callable[..., Path]) -> None:
    path = exported()
    run = run_of(teacher=str(path))
    first = teacher.soft_labels(run)
    path.unlink()
    assert torch.equal(teacher.soft_labels(run), first)


def test_a_teacher_changes_what_is_learned(
    run_of: Callable[..., Run], exported: Callable[..., Path]
) -> None:
    settings = {"architecture": "stem2;16x1 plain;16x0 plain;16x0 plain", "steps": 20}
    answers = []
    for name, more in (("with", {"teacher": str(exported())}), ("without", {})):
        run, family = run_of(name=name, **settings, **more), stages.Stages()
        found = run.folder.finish("search", family.search(run))
        model = family.build(run, found)
        trained = family.train(run, model, TrainingPlan(20, None, "float32"))
        images = run.data.normalise(run.data.train.images)
        answers.append(trained.model(images).softmax(1).mean(0))
    assert answers[0][0] - answers[0][2] > answers[1][0] - answers[1][2]


@pytest.mark.skipif(find_spec("timm") is None, reason="needs timm")
def test_a_teacher_of_timm_is_fitted_to_the_images(
    run_of: Callable[..., Run], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    from nascence.models.zoo import timm_network

    file = tmp_path / "weights.safetensors"
    name = "test_resnet.r160_in1k"
    save_file(timm_network(name, classes=1000).state_dict(), file)
    run = run_of(teacher=f"{name}={file}")
    found = teacher.soft_labels(run)
    torch.testing.assert_close(found.sum(1), torch.ones(30))
    assert (found.argmax(1) == run.data.train.labels).all()


def test_other_teachers_are_refused(
    run_of: Callable[..., Run], exported: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="does not know the class 'a' and 1 others; it knows c, d"):
        teacher.soft_labels(run_of(name="a", teacher=str(exported("c", "d", "e"))))
    (tmp_path / "other.onnx").write_bytes(b"no network")
    with pytest.raises(RunError, match=r"other.onnx is no network that nascence exported"):
        teacher.soft_labels(run_of(name="b", teacher=str(tmp_path / "other.onnx")))
    with pytest.raises(RunError, match=r"there is no teacher .*model.onnx; give the folder"):
        teacher.soft_labels(run_of(name="c", teacher=str(tmp_path)))
    with pytest.raises(ValueError, match=r"timm makes no network|No module named 'timm'"):
        teacher.soft_labels(run_of(name="d", teacher=str(tmp_path / "nowhere=x")))
