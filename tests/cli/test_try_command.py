"""``nascence try``: a page beside the network, an address, and one line where it cannot be."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nascence import cli
from nascence.inference.browser_runtime import BINARY, LICENCE, SCRIPT, VERSION
from tests.inference.conftest import Made, make_network


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_network(tmp_path_factory.mktemp("made"), grey=False)


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something in the place of ONNX Runtime Web, as if it had been fetched."""
    monkeypatch.setenv("NASCENCE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / f"onnxruntime-web-{VERSION}"
    folder.mkdir(parents=True)
    for name in (SCRIPT, BINARY, LICENCE):
        (folder / name).write_text(name)


def test_the_page_lies_beside_the_network(made: Made) -> None:
    found = CliRunner().invoke(cli.app, ["try", str(made.path), "--no-serve"])
    assert found.exit_code == cli.DONE
    page = made.path.with_name("try.html")
    assert found.stdout == f"Page {page}\n"
    assert "cats" in page.read_text()


def test_it_is_served_until_ctrl_c(made: Made, tmp_path: Path) -> None:
    words = [
        "try",
        str(made.path),
        "--port",
        "0",
        "--no-browser",
        "--out",
        str(tmp_path / "p.html"),
    ]
    command = [sys.executable, "-u", "-m", "nascence.cli", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        port = re.search(r"http://127.0.0.1:(\d+)/", process.stdout.readline())
        assert port
        connection = http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().read() == (tmp_path / "p.html").read_bytes()
        connection.close()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == cli.DONE
        assert process.stderr.read() == ""


def test_a_port_in_use_is_one_line(made: Made) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        found = CliRunner().invoke(cli.app, ["try", str(made.path), "--port", port])
    assert found.exit_code == cli.USAGE
    assert found.stderr == (
        f"nascence: port {port} is in use; give another with --port, or --port 0 for any that is "
        "free\n"
    )


def test_an_unfinished_run_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    found = CliRunner().invoke(cli.app, ["try", str(tmp_path)])
    assert found.exit_code == cli.USAGE
    assert "nascence resume" in found.stderr
