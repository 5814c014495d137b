"""A one-stage detector made of any backbone, any pyramid and a head."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nascence.detect.assignment import Places, assign, places
from nascence.detect.boxes import Detections, Objects, clip, from_distances
from nascence.detect.head import DetectionHead
from nascence.detect.losses import Losses, Predictions, detection_losses, stack_targets
from nascence.detect.suppression import suppress


class FeatureMaps(nn.Module):
    """The outputs of some layers of a network, in the order in which ``layers`` names them.

    Works on any module whose named submodules give one tensor each, such as
    ``FeatureMaps(resnet50(), ("stages.1", "stages.2", "stages.3"))``. Whatever the network computes
    after the last of them is discarded, so remove its classifier first. Raises ValueError for a
    layer that the network does not have or that did not run.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        known = dict(network.named_modules())
        if missing := [name for name in layers if name not in known or not name]:
            raise ValueError(f"the network has no layer {missing[0]!r}; see named_modules()")
        self.network = network
        self.layers = tuple(layers)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the outputs of the layers for images ``(B, C, H, W)``, in their order."""
        found: dict[str, Tensor] = {}
        modules = dict(self.network.named_modules())

        def keep(name: str) -> torch.utils.hooks.RemovableHandle:
            def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
                found[name] = output

            return modules[name].register_forward_hook(hook)

        handles = [keep(name) for name in self.layers]
        try:
            self.network(images)
        finally:
            for handle in handles:
                handle.remove()
        if missing := [name for name in self.layers if name not in found]:
            raise ValueError(f"layer {missing[0]!r} did not run in the network's forward")
        return [found[name] for name in self.layers]


class Detector(nn.Module):
    """Images to boxes: ``head(pyramid(backbone(images)))``.

    Args:
        backbone: Images ``(B, C, H, W)`` to a sequence of maps, finest first.
        pyramid: Those maps to a sequence of maps of equal channels, one for each stride of
            ``head``.
        head: Gives the predictions at each place.
        reach, radius: Of :func:`nascence.detect.places` and :func:`nascence.detect.assign`.
    """

    def __init__(
        self,
        backbone: nn.Module,
        pyramid: nn.Module,
        head: DetectionHead,
        *,
        reach: float = 4.0,
        radius: float = 1.5,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pyramid = pyramid
        self.head = head
        self.reach = reach
        self.radius = radius

    def predict(self, images: Tensor) -> tuple[Predictions, Places]:
        """Raw predictions for normalised images ``(B, C, H, W)``, and their places."""
        levels = self.pyramid(self.backbone(images))
        sizes = [(each.shape[-2], each.shape[-1]) for each in levels]
        at = places(sizes, self.head.strides, reach=self.reach, device=images.device)
        return self.head(levels), at

    def forward(self, images: Tensor) -> Predictions:
        """Return the raw predictions for normalised images ``(B, C, H, W)``."""
        return self.predict(images)[0]

    def losses(self, images: Tensor, objects: Sequence[Objects]) -> Losses:
        """Losses of normalised images ``(B, C, H, W)`` with the objects that are in each.

        Raises:
            ValueError: There is not one ``Objects`` for each image.
        """
        if len(images) != len(objects):
            raise ValueError(f"{len(images)} images with objects of {len(objects)}; give one each")
        _check_labels(objects, self.head.classes)
        predictions, at = self.predict(images)
        targets = stack_targets([assign(at, each, radius=self.radius) for each in objects])
        return detection_losses(predictions, targets, at.points)

    @torch.no_grad()
    def detect(
        self,
        images: Tensor,
        *,
        least_score: float = 0.05,
        candidates: int = 400,
        threshold: float = 0.6,
        most: int = 100,
    ) -> list[Detections]:
        """The objects found in each image, by falling score ``sqrt(p(class) * centre-ness)``.

        The module is used in the mode that it is in.

        Args:
            images: Normalised, ``(B, C, H, W)``.
            least_score: Scores up to this are dropped.
            candidates: Largest number of scores per image that go through non-maximum suppression.
            threshold: Intersection over union, in [0, 1], above which the lower score goes.
            most: How many objects of an image are given back, at most.

        Returns:
            For each image its boxes in pixels, scores and labels.
        """
        predictions, at = self.predict(images)
        height, width = images.shape[-2:]
        scores = (predictions.logits.sigmoid() * predictions.centreness.sigmoid()[..., None]).sqrt()
        boxes = clip(from_distances(at.points, predictions.distances), height, width)
        found = []
        for score, box in zip(scores, boxes, strict=True):
            value, index = score.flatten().topk(min(candidates, score.numel()))
            index = index[value > least_score]
            place, label = index // score.shape[1], index % score.shape[1]
            chosen = Detections(box[place], score[place, label], label)
            keep = suppress(*chosen, threshold=threshold)[:most]
            found.append(Detections(*(each[keep] for each in chosen)))
        return found


def _check_labels(objects: Sequence[Objects], classes: int) -> None:
    for each in objects:
        if len(each.labels) and not 0 <= int(each.labels.min()) <= int(each.labels.max()) < classes:
            raise ValueError(
                f"labels run from {int(each.labels.min())} to {int(each.labels.max())}; "
                f"the head has the classes 0 to {classes - 1}"
            )
