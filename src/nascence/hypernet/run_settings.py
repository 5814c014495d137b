"""What defines a meta-training run."""

from typing import NamedTuple

from torch import Tensor

from nascence.hypernet.schedule import SCHEDULES


class RunSettings(NamedTuple):
    """Settings that must not change between legs."""

    networks: int
    steps: int
    meta_batch: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup: int
    clip: float
    label_smoothing: float
    seed: int
    schedule: str = "cosine"
    average: float = 0.0
    start: str = ""
    crop: int = 0


def check(settings: RunSettings, images: Tensor, labels: Tensor) -> None:
    """Refuse settings or data that nothing can be trained with.

    Raises:
        ValueError: A setting is out of its range, or the images are not floating-point
            ``(N, C, H, W)`` with labels ``(N,)``.
    """
    for name in ("networks", "steps", "meta_batch", "batch_size"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} is {getattr(settings, name)}; it must be at least 1")
    if settings.schedule not in SCHEDULES:
        raise ValueError(
            f"schedule is {settings.schedule!r}; it must be one of {', '.join(SCHEDULES)}"
        )
    if not 0 <= settings.average < 1:
        raise ValueError(f"average is {settings.average}; it must be at least 0 and below 1")
    if settings.crop < 0:
        raise ValueError(f"crop is {settings.crop}; give pixels to shift by, 0 for none")
    if not images.is_floating_point() or images.dim() != 4:
        raise ValueError(
            f"images are {images.dtype} of shape {tuple(images.shape)}; "
            "they must be floating-point (N, C, H, W)"
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{len(images)} images but labels of shape {tuple(labels.shape)}")
