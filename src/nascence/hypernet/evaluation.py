"""Accuracy of predicted parameters on networks that the hypernetwork has not seen."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean

import torch
from torch import Tensor, nn

from nascence.core.modes import evaluation_mode
from nascence.graph import Graph
from nascence.hypernet.calibration import accuracy, recalibrate
from nascence.hypernet.ghn import GHN

Networks = Callable[[int], tuple[Graph, nn.Module]]


def network_accuracies(
    ghn: GHN | None,
    networks: Networks,
    indices: Iterable[int],
    images: Tensor,
    labels: Tensor,
    *,
    calibration: Sequence[Tensor],
) -> list[float]:
    """Return the accuracy in [0, 1] of every network, with predicted parameters and no training.

    ``images`` are ``(N, C, H, W)``, ``labels`` ``(N,)``. Statistics of batch normalisation come
    from the batches ``calibration`` of training images, ``(B, C, H, W)``.
    With ``ghn`` None the modules keep their own values: the baseline, treated alike.
    """
    found = []
    for index in indices:
        graph, model = networks(index)
        if ghn is None:
            params = {name: value.detach() for name, value in model.named_parameters()}
        else:
            with torch.no_grad():
                params = ghn([graph])[0]
        values = {**params, **recalibrate(model, params, calibration)}
        found.append(accuracy(model, values, images, labels))
    return found


def validation(
    splits: Mapping[str, Networks],
    count: int,
    images: Tensor,
    labels: Tensor,
    *,
    calibration: Sequence[Tensor],
) -> Callable[[GHN], dict[str, float]]:
    """A validation pass for :func:`meta_train`: the mean over ``count`` of each split.

    ``images`` ``(N, C, H, W)``, ``labels`` and ``calibration`` are as for
    :func:`network_accuracies`.
    """

    def evaluate(ghn: GHN) -> dict[str, float]:
        with evaluation_mode(ghn):
            return {
                f"accuracy_{name}": mean(
                    network_accuracies(
                        ghn, networks, range(count), images, labels, calibration=calibration
                    )
                )
                for name, networks in splits.items()
            }

    return evaluate
