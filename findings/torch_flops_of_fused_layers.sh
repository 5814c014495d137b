#!/bin/sh
# torch 2.13.0 on a CPU: FlopCounterMode counts nothing for a transformer layer in
# evaluation, nor ever for an LSTM.
#
# FlopCounterMode counts by operator.  In evaluation without gradients,
# nn.TransformerEncoderLayer and nn.MultiheadAttention run as one fused operator
# that has no formula, so that the very layer which costs 353,280 FLOPs in training
# mode costs 0 in evaluation, without a warning.  nn.LSTM is 0 in both modes, while
# nn.GRU of the same size is counted.  A search that ranks networks by this number
# takes attention and LSTMs for free.
#
# Output seen:
#   transformer layer: 353280 in training mode, 0 in evaluation
#   attention: 189440 in training mode, 0 in evaluation
#   LSTM: 0, GRU: 34560
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'EOF'
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def flops(module, *inputs):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops()


x = torch.randn(2, 10, 32)
layer = nn.TransformerEncoderLayer(32, 4, dim_feedforward=64, batch_first=True)
counts = flops(layer.train(), x), flops(layer.eval(), x)
print(f"transformer layer: {counts[0]} in training mode, {counts[1]} in evaluation")
assert counts == (353_280, 0), counts
attention = nn.MultiheadAttention(32, 4, batch_first=True)
counts = flops(attention.train(), x, x, x), flops(attention.eval(), x, x, x)
print(f"attention: {counts[0]} in training mode, {counts[1]} in evaluation")
assert counts == (189_440, 0), counts
sequence = torch.randn(5, 3, 8)
counts = flops(nn.LSTM(8, 16), sequence), flops(nn.GRU(8, 16), sequence)
print(f"LSTM: {counts[0]}, GRU: {counts[1]}")
assert counts == (0, 34_560), counts
EOF
