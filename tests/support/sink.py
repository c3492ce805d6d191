"""A broker's ingress, as far as a sender sees it: a real HTTP server."""

import http.server
import threading


class Sink:
    """Takes events, or answers `status`; `headers` are those of each request, by their names in lower case."""

    def __init__(self) -> None:
        self.status = 202
        self.taken: list[str] = []
        self.headers: list[dict[str, str]] = []
        sink = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                sink.headers.append({name.lower(): value for name, value in self.headers.items()})
                if sink.status == 202:
                    sink.taken.append(f"{self.headers['ce-type']} {self.headers['ce-subject']} {self.headers['ce-id']}")
                self.send_response(sink.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
