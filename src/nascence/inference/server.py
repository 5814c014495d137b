"""Show one page to the browsers of this machine."""

import errno
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"
MOST_PORT = 65535


class PortError(OSError):
    """A port cannot be used; the message says what to do."""


def page_server(page: bytes, *, port: int) -> ThreadingHTTPServer:
    """A server of one page on the loopback interface alone; ``serve_forever`` starts it.

    Args:
        page: HTML in UTF-8.
        port: 0 takes any that is free.

    Raises:
        PortError: The port is in use, or may not be used.
        ValueError: There is no such port.
    """
    if not 0 <= port <= MOST_PORT:
        raise ValueError(f"port {port} does not exist; give one from 1 to {MOST_PORT}, or 0")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers.get("Host", "").partition(":")[0]
            # Pages of other sites could reach this one under a name of their own.
            if self.path != "/" or host not in (LOOPBACK, "localhost"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: a browser that goes away is no failure."""

    try:
        return Server((LOOPBACK, port), Handler)
    except OSError as error:
        reason = (
            "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        )
        raise PortError(
            f"port {port} {reason}; give another with --port, or --port 0 for any that is free"
        ) from error
