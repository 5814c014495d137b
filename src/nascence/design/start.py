"""Where a training starts: values predicted for a network that was just built."""

import copy
import time

import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.core.resumable import CheckpointError, load_checkpoint, save_checkpoint
from nascence.design.results import PredictedStart
from nascence.design.run import Run
from nascence.graph import trace
from nascence.hypernet import GHN, break_symmetry, classifier_name, load, recalibrate, state_of
from nascence.hypernet.predict import RELEASED
from nascence.hypernet.ridge import features, solve_ridge
from nascence.params import Params
from nascence.training import evaluate

IMAGES = 1000
"""Training images that give BatchNorm its statistics and fit the classifier, at most."""
NOISE = 0.01
HEAD = True
SHARPNESS = torch.logspace(0, 2, 41)


def begin(run: Run, model: nn.Module) -> tuple[nn.Module, PredictedStart]:
    """A copy of ``model`` with predicted values, and what they are worth before training.

    They are kept beside the checkpoints, so that a resumed run starts from the same ones.

    Raises:
        CheckpointError: The values that were kept are of another network.
    """
    path = run.path / "checkpoints" / "start.pt"
    started = copy.deepcopy(model)

    def make() -> PredictedStart:
        began = time.perf_counter()
        generator = run.generator(7)
        images, labels = run.data.batch(min(IMAGES, len(run.data.train)), generator=generator)
        values = starting_values(
            model, images, labels, ghn=load(RELEASED), generator=generator, noise=NOISE, head=HEAD
        )
        save_checkpoint(path, values)
        started.load_state_dict(values)
        return PredictedStart(
            hypernetwork=RELEASED,
            images=len(images),
            head=HEAD,
            accuracy=evaluate(started, run.data.validation, run.data.normalise).accuracy,
            seconds=time.perf_counter() - began,
        )

    facts = run.folder.plan("start", PredictedStart, make)
    try:
        started.load_state_dict(load_checkpoint(path))
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} is of another network; delete it and the plan of the start to predict again"
        ) from error
    return started, facts


def starting_values(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    ghn: GHN | None,
    generator: torch.Generator,
    noise: float,
    head: bool,
    batch_size: int = 64,
) -> Params:
    """What ``model.load_state_dict`` takes to start training from; the model is left as it is.

    Args:
        model: The network to be trained.
        images: Normalised images ``(N, C, H, W)``, whose statistics BatchNorm gets.
        labels: Their classes ``(N,)``.
        ghn: Predicts the parameters; without it they are the model's own.
        generator: Source of the noise.
        noise: Size of the noise that tells equal filters apart, relative to each tensor; see
            :func:`nascence.hypernet.break_symmetry`.
        head: Whether the classifier is fitted to the images in closed form.
        batch_size: Images in a forward pass.

    Raises:
        GraphError: The network cannot be traced.
        ValueError: ``head`` is asked for, and the output is not that of a linear layer.
    """
    graph = trace(model, images[:1])
    if ghn is None:
        params = {name: value.detach().clone() for name, value in model.named_parameters()}
    else:
        with torch.no_grad():
            params = ghn.eval()([graph])[0]
        params = break_symmetry(params, generator=generator, scale=noise)
    batches = [batch for batch in images.split(batch_size) if len(batch) > 1]
    values = {**params, **recalibrate(model, params, batches)}
    if head:
        values.update(sharp_head(model, classifier_name(graph), values, images, labels))
    return state_of(model, values)


def sharp_head(
    model: nn.Module, layer: str, values: Params, images: Tensor, labels: Tensor
) -> Params:
    """Fit a ridge classifier for the linear ``layer``, with logits as confident as they should be.

    Ridge regression on one-hot labels gives outputs between 0 and 1, which a softmax takes for
    nearly equal chances, and which training would first have to enlarge. They are multiplied by
    the factor for which a classifier of one half of the images has the lowest cross-entropy on
    the other half.

    Args:
        model: The network.
        layer: Name of its last layer.
        values: Its parameters and buffers.
        images: Normalised images ``(N, C, H, W)``.
        labels: Their classes ``(N,)``.

    Returns:
        The weight ``(classes, features)`` of the layer, and its bias ``(classes,)`` if it has one.
    """
    found = features(model, layer, values, images)
    classes = len(values[f"{layer}.weight"])
    whole = solve_ridge(found, labels, classes)
    factor = _sharpness(found, labels, classes) if len(found) >= 4 else 1.0
    head = {f"{layer}.weight": factor * whole.weight}
    if f"{layer}.bias" in values:
        head[f"{layer}.bias"] = factor * whole.bias
    return head


def _sharpness(found: Tensor, labels: Tensor, classes: int) -> float:
    half = len(found) // 2
    trial = solve_ridge(found[:half], labels[:half], classes)
    outputs = found[half:] @ trial.weight.t() + trial.bias
    losses = [functional.cross_entropy(s * outputs, labels[half:]) for s in SHARPNESS]
    return float(SHARPNESS[int(torch.stack(losses).argmin())])
