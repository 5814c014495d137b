"""The programs of docs/use.md give the answers of ``nascence classify`` on every image."""

import re
import shutil
from pathlib import Path

import pytest

from benchmarks.inference.browser import Browser
from benchmarks.report.picture import find_browser
from nascence.inference import classify, find_images, read_classifier
from nascence.inference.browser_runtime import RuntimeUnavailableError, browser_runtime
from nascence.inference.page import write_page
from tests.inference.conftest import SIDE, Made

PAGE = Path(__file__).parents[2] / "docs" / "use.md"


def block(language: str, containing: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (only,) = (code for code in found if containing in code)
    return only


@pytest.fixture
def answers(made: Made) -> dict[str, str]:
    classifier = read_classifier(made.path)
    found = classify(classifier, find_images([made.photos]))
    return {each.image: classifier.class_names[each.top(1)[0][0]] for each in found}


def test_onnx_runtime_and_pillow_alone(
    made: Made, answers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "first").mkdir(parents=True)
    shutil.copy(made.path, tmp_path / "runs" / "first" / "model.onnx")
    monkeypatch.chdir(tmp_path)
    code = block("python", "def classify")
    assert "nascence" not in code
    scope: dict = {}
    exec(compile(code, "use.md", "exec"), scope)
    assert {image: scope["classify"](image) for image in answers} == answers
    assert len(set(answers.values())) == 2


def test_javascript(made: Made, answers: dict[str, str], tmp_path: Path) -> None:
    if find_browser() is None:
        pytest.skip("no Chromium on this machine")
    try:
        runtime = browser_runtime(seconds=20)
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))
    write_page(read_classifier(made.path), runtime, tmp_path / "try.html")
    code = block("js", "fitted").replace("[32, 32]", f"[{SIDE}, {SIDE}]")
    code = code.replace('"model.onnx"', 'await unpacked("network")')  # its policy lets none in
    with Browser() as browser:
        browser.open((tmp_path / "try.html").as_uri())
        browser.until("document.documentElement.dataset.state === 'ready'")
        for image, name in answers.items():
            browser.choose("#file", Path(image))
            best = browser.evaluate(
                f"(async (file) => {{ {code} return best; }})(at('file').files[0])"
            )
            assert made.data.class_names[best] == name, image
