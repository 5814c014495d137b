#!/bin/sh
# torchinfo 1.8.0 with torch 2.13.0: multiply-adds of a transposed convolution are
# too many by the square of its stride.
#
# torchinfo multiplies the weights with the positions of the *output*.  For a
# transposed convolution every weight meets every position of the *input*, which are
# fewer by stride^2: a decoder that doubles the size is reported at four times its
# cost, with a stride of 4 at sixteen times.  torch's own FlopCounterMode, which
# counts two FLOPs for a multiply-add, is right.
#
# Output seen (multiply-adds, without bias):
#   stride 1, kernel 1: torchinfo 8192, torch 8192 (1 times)
#   stride 2, kernel 2: torchinfo 131072, torch 32768 (4 times)
#   stride 4, kernel 4: torchinfo 2097152, torch 131072 (16 times)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 torchinfo==1.8.0
"$folder/venv/bin/python" - <<'EOF'
import torch
import torchinfo
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

x = torch.randn(1, 16, 8, 8)
for stride in (1, 2, 4):
    layer = nn.ConvTranspose2d(16, 8, stride, stride=stride, bias=False)
    told = torchinfo.summary(layer, input_data=x, verbose=0).total_mult_adds
    with FlopCounterMode(display=False) as counter:
        layer(x)
    true = counter.get_total_flops() // 2
    assert true == 8 * 8 * 16 * 8 * stride**2
    print(f"stride {stride}, kernel {stride}: torchinfo {told}, torch {true}", end=" ")
    print(f"({told // true} times)")
    assert told == true * stride**2, "torchinfo's transposed convolution has changed"
EOF
