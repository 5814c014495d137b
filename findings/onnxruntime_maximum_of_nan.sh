#!/bin/sh
# onnxruntime 1.32.0 on an x86-64 CPU (onnx 1.23.2, numpy 2.4.6): three maxima of the
# same four numbers, one of them NaN, keep the NaN in opposite places.
#
# GlobalMaxPool and a MaxPool over all pixels return NaN only where it is the last
# of the window; ReduceMax over the same axes only where it is the first.  Elsewhere
# the NaN vanishes and the maximum of the rest is returned.  numpy, torch and ONNX
# Runtime's own Max operator return NaN in every case.  A network whose activations
# overflowed so has finite outputs after its pooling, and replacing one of these
# operators by another that means the same changes which.
#
# Output seen (NaN in place 0, 1, 2, 3 of a 2x2 image of zeros):
#   GlobalMaxPool [ 0.  0.  0. nan]
#   MaxPool       [ 0.  0.  0. nan]
#   ReduceMax     [nan  0.  0.  0.]
#   numpy         [nan nan nan nan]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'EOF'
import numpy
import onnxruntime
from onnx import TensorProto, checker, helper

x = numpy.zeros((4, 1, 2, 2), numpy.float32)
for place in range(4):
    x[place].flat[place] = numpy.nan


def maximum(operator, shape, **attributes):
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], **attributes)],
        "maximum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0].ravel()


pooled = [4, 1, 1, 1]
results = {
    "GlobalMaxPool": maximum("GlobalMaxPool", pooled),
    "MaxPool": maximum("MaxPool", pooled, kernel_shape=[2, 2]),
    "ReduceMax": maximum("ReduceMax", pooled, axes=[2, 3], keepdims=1),
    "numpy": x.max((1, 2, 3)),
}
for name, values in results.items():
    print(f"{name:13} {values}")
kept = {name: numpy.flatnonzero(numpy.isnan(values)).tolist() for name, values in results.items()}
assert kept == {
    "GlobalMaxPool": [3],
    "MaxPool": [3],
    "ReduceMax": [0],
    "numpy": [0, 1, 2, 3],
}, "which NaN a maximum keeps has changed"
EOF
