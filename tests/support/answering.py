"""An HTTP server of a test's own, which answers in a thread while its context is entered."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import TypeVar

ServerT = TypeVar("ServerT", bound=socketserver.BaseServer)


@contextlib.contextmanager
def answering(server: ServerT) -> Iterator[ServerT]:
    """The server, which is closed in the end; its thread has ended then, too."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
