"""Hand-designed networks, by their usual names. They are baselines here and inputs elsewhere."""

from nascence.models.resnet import (
    ResNet,
    cifar_resnet,
    resnet18,
    resnet20,
    resnet32,
    resnet34,
    resnet44,
    resnet50,
    resnet56,
    resnet101,
    resnet110,
)

__all__ = [
    "ResNet",
    "cifar_resnet",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
]
