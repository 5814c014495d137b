"""The server shows one page, to this machine alone."""

import http.client
import socket
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from nascence.inference.server import PortError, page_server


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with page_server(b"<p>page", port=0) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def ask(server: ThreadingHTTPServer, path: str, host: str = "localhost") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_one_page_and_nothing_else(
    server: ThreadingHTTPServer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ask(server, "/") == (200, b"<p>page")
    assert ask(server, "/", f"127.0.0.1:{server.server_port}") == (200, b"<p>page")
    assert ask(server, "/../model.onnx")[0] == 404
    assert ask(server, "/", "evil.example")[0] == 404
    assert capfd.readouterr() == ("", "")


def test_only_the_loopback_interface_listens(server: ThreadingHTTPServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match=f"port {port} is in use; give another with --port"):
            page_server(b"", port=port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_does_not_exist(port: int) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        page_server(b"", port=port)
