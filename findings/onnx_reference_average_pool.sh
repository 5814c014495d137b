#!/bin/sh
# onnx 1.23.2 (numpy 2.4.6): the reference evaluator shifts the windows of an
# AveragePool with ceil_mode, those of a MaxPool not.
#
# With ceil_mode=1 the last window may reach beyond the image.  For a MaxPool of 3x3
# with stride 3 over 7x7 pixels the reference evaluator starts the first window at
# pixel 0, as the specification has it.  For an AveragePool of the same attributes
# it splits the two missing pixels between both sides and starts one pixel before the
# image: not one value is right.  With ceil_mode=0 both are right.  Taken as
# the oracle of another runtime's average pooling, the reference is what is wrong.
#
# Output seen (pixels numbered 0 to 48; first window 0,1,2,7,8,9,14,15,16):
#   MaxPool first window: 16.0
#   AveragePool first window, ceil_mode 0: 8.0
#   AveragePool first window, ceil_mode 1: 4.0
#   AveragePool values as specified: 0 of 9
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'EOF'
import numpy
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator

x = numpy.arange(49, dtype=numpy.float32).reshape(1, 1, 7, 7)


def pool(operator, ceil_mode):
    size = 3 if ceil_mode else 2
    node = helper.make_node(
        operator, ["x"], ["y"], kernel_shape=[3, 3], strides=[3, 3], ceil_mode=ceil_mode
    )
    graph = helper.make_graph(
        [node],
        "pool",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, size, size])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    checker.check_model(model, full_check=True)
    return ReferenceEvaluator(model).run(None, {"x": x})[0][0, 0]


def specified(reduce):
    starts = (0, 3, 6)
    return numpy.array([[reduce(x[0, 0, i : i + 3, j : j + 3]) for j in starts] for i in starts])


largest = pool("MaxPool", 1)
print("MaxPool first window:", largest[0, 0])
assert numpy.array_equal(largest, specified(numpy.max))
floor = pool("AveragePool", 0)
print("AveragePool first window, ceil_mode 0:", floor[0, 0])
assert numpy.allclose(floor, specified(numpy.mean)[:2, :2])
mean = pool("AveragePool", 1)
print("AveragePool first window, ceil_mode 1:", mean[0, 0])
agree = int(numpy.isclose(mean, specified(numpy.mean)).sum())
print("AveragePool values as specified:", agree, "of 9")
assert mean[0, 0] == 4 and agree == 0, "the reference's average pooling has changed"
EOF
