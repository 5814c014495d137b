"""The programs of docs/use.md give the answers of ``nascence classify`` on every image."""

import re
from pathlib import Path

import onnx
import pytest

from benchmarks.inference.browser import Browser
from benchmarks.report.picture import find_browser
from nascence.data.decode import FRAMINGS
from nascence.inference import classify, find_images, read_classifier
from nascence.inference.browser_runtime import RuntimeUnavailableError, browser_runtime
from nascence.inference.page import write_page
from tests.inference.conftest import SIDE, Made

PAGE = Path(__file__).parents[2] / "docs" / "use.md"


def block(language: str, containing: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (only,) = (code for code in found if containing in code)
    return only


@pytest.fixture(params=FRAMINGS)
def framed(request: pytest.FixtureRequest, made: Made, tmp_path: Path) -> Path:
    """The network of the photos, for each framing."""
    (tmp_path / "runs" / "first").mkdir(parents=True)
    proto = onnx.load(made.path)
    entry = proto.metadata_props.add()
    entry.key, entry.value = "input_framing", request.param
    onnx.save(proto, tmp_path / "runs" / "first" / "model.onnx")
    return tmp_path


def answers(folder: Path, photos: Path) -> dict[str, str]:
    """The class of each photo, by ``nascence classify``."""
    classifier = read_classifier(folder / "runs" / "first")
    found = classify(classifier, find_images([photos]))
    return {each.image: classifier.class_names[each.top(1)[0][0]] for each in found}


def test_onnx_runtime_and_pillow_alone(
    made: Made, framed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(framed)
    code = block("python", "def classify")
    assert "nascence" not in code
    scope: dict = {}
    exec(compile(code, "use.md", "exec"), scope)
    expected = answers(framed, made.photos)
    assert {image: scope["classify"](image) for image in expected} == expected
    assert len(set(expected.values())) == 2


def test_javascript(made: Made, framed: Path) -> None:
    if find_browser() is None:
        pytest.skip("no Chromium on this machine")
    try:
        runtime = browser_runtime(seconds=20)
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))
    classifier = read_classifier(framed / "runs" / "first")
    write_page(classifier, runtime, framed / "try.html")
    code = block("js", "fitted").replace("[32, 32]", f"[{SIDE}, {SIDE}]")
    code = code.replace('"crop"', f'"{classifier.form.framing}"')
    code = code.replace('"model.onnx"', 'await unpacked("network")')  # its policy lets none in
    with Browser() as browser:
        browser.open((framed / "try.html").as_uri())
        browser.until("document.documentElement.dataset.state === 'ready'")
        for image, name in answers(framed, made.photos).items():
            browser.choose("#file", Path(image))
            best = browser.evaluate(
                f"(async (file) => {{ {code} return best; }})(at('file').files[0])"
            )
            assert made.data.class_names[best] == name, image
