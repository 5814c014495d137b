#!/bin/sh
# torch 2.13.0 on a CPU: FlopCounterMode counts the gradient of a grouped
# convolution's weight as if the convolution were dense.
#
# Forward and backward to the input divide by the number of groups; backward to the
# weight does not.  The backward of a depthwise convolution with 64 channels is
# counted at 65 times its forward instead of twice, and a training step of it at 66
# times instead of three times: the same number as for a dense gradient.
#
# Output seen (FLOPs, 64 channels, 3x3, batch of 2, 16x16 pixels):
#   groups  1: forward 37748736, backward 75497472 (2 times)
#   groups 64: forward 589824, backward 38338560 (65 times)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'EOF'
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

for groups, expected in ((1, 2), (64, 65)):
    convolution = nn.Conv2d(64, 64, 3, padding=1, groups=groups)
    x = torch.randn(2, 64, 16, 16, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        y = convolution(x)
    forward = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        y.sum().backward()
    backward = counter.get_total_flops()
    print(f"groups {groups:2}: forward {forward}, backward {backward}", end=" ")
    print(f"({backward // forward} times)")
    assert forward == 2 * 2 * 16 * 16 * 64 * 64 // groups * 9
    assert backward == expected * forward, "backward of grouped convolutions has changed"
EOF
