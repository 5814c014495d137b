"""Hand-designed networks, by their usual names. They are baselines here and inputs elsewhere."""

from nascence.models.densenet import (
    DenseNet,
    cifar_densenet,
    densenet121,
    densenet161,
    densenet169,
    densenet201,
)
from nascence.models.dynamic import (
    DynamicConv2d,
    dynamic_mobilenet_v2,
    dynamic_resnet18,
)
from nascence.models.mobilenet import MobileNetV2, mobilenet_v2
from nascence.models.names import build, names
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
    resnet_of_macs,
)
from nascence.models.shufflenet import ShuffleNetV2, shufflenet_v2
from nascence.models.vit import VisionTransformer, vit_base, vit_cifar, vit_small, vit_tiny

__all__ = [
    "DenseNet",
    "DynamicConv2d",
    "MobileNetV2",
    "ResNet",
    "ShuffleNetV2",
    "VisionTransformer",
    "build",
    "cifar_densenet",
    "cifar_resnet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "dynamic_mobilenet_v2",
    "dynamic_resnet18",
    "mobilenet_v2",
    "names",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
    "resnet_of_macs",
    "shufflenet_v2",
    "vit_base",
    "vit_cifar",
    "vit_small",
    "vit_tiny",
]
