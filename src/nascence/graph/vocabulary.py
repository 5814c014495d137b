"""The operations and parameter roles that a graph may hold.

The first fifteen operations are those of Knyazev et al. (2021), "Parameter Prediction for
Unseen Deep Architectures", in the order of their embedding table. The others name what later
networks need; each stands in for the paper's nearest operation where a hypernetwork was sized
for fifteen.
"""

PRIMITIVES = (
    "max_pool",
    "avg_pool",
    "sep_conv",
    "dil_conv",
    "conv",
    "msa",
    "cse",
    "sum",
    "concat",
    "input",
    "bias",
    "bn",
    "ln",
    "pos_enc",
    "glob_avg",
)

# extension -> the paper's operation that it is nearest to
NEAREST_PRIMITIVE = {
    "conv_transpose": "conv",
    "group_norm": "ln",
    "instance_norm": "bn",
    "layer_scale": "bn",
    "class_token": "pos_enc",
    "rel_pos": "pos_enc",
    "gate": "cse",
    "embedding": "conv",
    "recurrent": "conv",
}

OPERATIONS = (*PRIMITIVES, *NEAREST_PRIMITIVE)

# What a parameter does, which decides how its values are predicted and scaled.
ROLES = (
    "weight",  # (out, in, ...): fan-in is the product of all axes but the first
    "weight_transposed",  # (in, out, ...): transposed convolutions and right factors
    "bias",
    "norm_weight",
    "norm_bias",
    "scale",  # multiplies activations: layer scale, gains, temperatures, slopes
    "position",
    "token",
    "table",  # rows looked up by index: relative position bias
    "embedding",  # rows looked up by the input
)
