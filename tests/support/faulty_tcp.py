"""A wire between a client and a real server that can be cut, silent, or change a byte. It knows no protocol."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Wire:
    """Its faults happen to what one side says, once; offsets count all that it has said since `reset`."""

    port: int = 0
    side: str = "server"
    cut_at: int | None = None
    flip_at: int | None = None
    is_silent: bool = False
    said: int = 0
    connections: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self, side: str, *, cut_at: int | None = None, flip_at: int | None = None) -> None:
        """Count from here what the `server` or the `client` says."""
        with self.lock:
            self.side, self.said, self.cut_at, self.flip_at = side, 0, cut_at, flip_at

    def pass_on(self, data: bytes) -> tuple[bytes, bool]:
        """What of these bytes goes on, and whether the connection is cut behind them."""
        with self.lock:
            start, self.said = self.said, self.said + len(data)
            if self.flip_at is not None and start <= self.flip_at < self.said:
                at, self.flip_at = self.flip_at - start, None
                data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            if self.cut_at is not None and self.cut_at < self.said:
                at, self.cut_at = max(0, self.cut_at - start), None
                return data[:at], True
        return data, False


@contextlib.contextmanager
def wired(server_port: int) -> Iterator[Wire]:
    """A wire to a port of this machine."""
    wire = Wire()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire.port = listener.getsockname()[1]
        ends: list[socket.socket] = []
        threading.Thread(target=_accept, args=(wire, listener, server_port, ends), daemon=True).start()
        try:
            yield wire
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for end in ends:
                _shut(end)


def _accept(wire: Wire, listener: socket.socket, server_port: int, ends: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", server_port))
            ends += [client, server]
            wire.connections += 1
            threading.Thread(target=_carry, args=(wire, "client", client, server), daemon=True).start()
            threading.Thread(target=_carry, args=(wire, "server", server, client), daemon=True).start()


def _carry(wire: Wire, side: str, source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            passed, is_cut = wire.pass_on(data) if side == wire.side else (data, False)
            if side == "client" or not wire.is_silent:
                target.sendall(passed)
            if is_cut:
                break
    _shut(source)
    _shut(target)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
