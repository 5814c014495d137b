"""A session of ONNX Runtime says nothing where it can load a file."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nascence.onnx_session import onnx_session


def test_a_file_and_its_content_run_silently(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    unused = helper.make_tensor("unused", TensorProto.FLOAT, [1], [0.0])  # worth a warning
    nodes = [helper.make_node("Neg", ["x"], ["y"])]
    graph = helper.make_graph(nodes, "g", info[:1], info[1:], [unused])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(proto, tmp_path / "x.onnx")
    for model in (str(tmp_path / "x.onnx"), proto.SerializeToString()):
        found = onnx_session(model).run(None, {"x": np.array([1, -2], np.float32)})
        assert found[0].tolist() == [-1, 2]
    assert capfd.readouterr() == ("", "")
