"""Reading ONNX files that may be damaged, and writing them whole."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from nascence.core.files import DamagedFileError, WriteError
from nascence.onnx_files import read_onnx, reading, write_onnx

CONVOLUTION = "g (float[N,3,H,W] x) => (float[N,4,h,w] y) { y = Conv(x, w) }"


@pytest.fixture
def file(parse, draw, tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(parse(CONVOLUTION, w=draw(4, 3, 5, 5)), path)
    return path


def test_a_file_is_read_as_it_was_written(file: Path, tmp_path: Path) -> None:
    model = read_onnx(file)
    assert write_onnx(tmp_path / "copy.onnx", model) == [tmp_path / "copy.onnx"]
    assert (tmp_path / "copy.onnx").read_bytes() == model.SerializeToString()
    assert read_onnx(tmp_path / "copy.onnx") == model


@pytest.mark.parametrize("content", [b"not onnx at all", b"", b"\x08\x08", b"\x00" * 64])
def test_what_is_no_onnx_file_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(DamagedFileError) as caught:
        read_onnx(tmp_path / "bad.onnx")
    assert len(str(caught.value).splitlines()) == 1
    assert "bad.onnx" in str(caught.value)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_refused(kept: float, file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DamagedFileError):
        read_onnx(file)


def test_a_missing_file_and_a_folder_are_no_damage(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(OSError, match=r"onnx|directory"):
            read_onnx(path)


def test_a_weight_of_too_few_bytes_is_named(parse, draw, tmp_path: Path) -> None:
    model = parse(CONVOLUTION, w=draw(4, 3, 5, 5))
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]
    onnx.save(model, tmp_path / "short.onnx")
    with pytest.raises(DamagedFileError, match="the weight w of shape"):
        read_onnx(tmp_path / "short.onnx")


def test_external_data_is_read_and_missing_where_it_is_missing(parse, draw, tmp_path: Path) -> None:
    model = parse(CONVOLUTION, w=draw(4, 3, 15, 15))
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=10)
    loaded = read_onnx(path)
    assert len(loaded.graph.initializer[0].raw_data) == 4 * 4 * 3 * 15 * 15
    whole = (tmp_path / "weights").read_bytes()
    (tmp_path / "weights").write_bytes(whole[:100])
    with pytest.raises(DamagedFileError, match=r"model\.onnx"):
        read_onnx(path)
    (tmp_path / "weights").unlink()
    with pytest.raises(DamagedFileError, match="keeps weights in other files"):
        read_onnx(path)


def test_large_weights_go_beside_the_file(
    parse, draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGEST_FILE", 5000)
    text = "g (float[N,3,H,W] x) => (float[N,4,h,w] y) { z = Conv(x, w)  y = Conv(z, v, b) }"
    model = parse(text, w=draw(4, 3, 15, 15), v=draw(4, 4, 5, 5), b=draw(4))
    before = model.SerializeToString()
    files = write_onnx(tmp_path / "big.onnx", model)
    assert [file.name for file in files] == ["big.onnx", "big.onnx.data"]
    assert model.SerializeToString() == before
    assert (tmp_path / "big.onnx").stat().st_size < 2000
    onnx.checker.check_model(str(tmp_path / "big.onnx"))
    found = read_onnx(tmp_path / "big.onnx").graph.initializer
    for one, two in zip(found, model.graph.initializer, strict=True):
        assert np.array_equal(onnx.numpy_helper.to_array(one), onnx.numpy_helper.to_array(two))


def test_a_file_that_cannot_be_written_is_said(parse, draw, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(WriteError):
        write_onnx(tmp_path / "file" / "out.onnx", parse(CONVOLUTION, w=draw(4, 3, 1, 1)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("g (float[2] x) => (float[2] y) { a = Add(x, b)  b = Neg(a)  y = Neg(b) }", "cyclic"),
        ("g (float[2] x) => (float[2] y) { a = Neg(x)  a = Neg(x)  y = Neg(a) }", "defined twice"),
        ("g (float[2] x) => (float[2] y) { x = Neg(x)  y = Neg(x) }", "defined twice"),
        ("g (float[2] x) => (float[2] z) { y = Neg(x) }", "nothing computes the output"),
        ("g (float[2] x, float[2] x) => (float[2] y) { y = Neg(x) }", "same name"),
        (
            "g (float[2] x, bool c) => (float[2] y) { y = If(c) <then_branch = a () => (float[2] "
            "u) { u = Neg(q) }, else_branch = b () => (float[2] v) { v = Neg(x) }> }",
            "reads 'q'",
        ),
    ],
)
def test_names_that_contradict_are_refused(text: str, message: str, parse, tmp_path: Path) -> None:
    onnx.save(parse(text), tmp_path / "odd.onnx")
    with pytest.raises(DamagedFileError, match=message):
        read_onnx(tmp_path / "odd.onnx")
