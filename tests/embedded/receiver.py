"""The image `test/receiver`: writes down each event that it gets, and answers as the path says."""

import http.server
import json
import os
import pathlib
import time


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        event = {name.lower(): value for name, value in self.headers.items()}
        with pathlib.Path(os.environ["RECEIVED"]).open("a") as file:
            file.write(json.dumps({"headers": event, "path": self.path, "body": body.decode()}) + "\n")
        if self.path.startswith("/status/"):
            return self.reply(int(self.path.rpartition("/")[2]), b"because of that")
        if self.path.startswith("/chatty"):
            return self.reply(200, b"OK")
        if self.path.startswith("/slow"):
            time.sleep(0.5)
        if self.path.startswith("/answer"):
            headers = {
                "ce-specversion": "1.0",
                "ce-id": "r-" + event["ce-id"],
                "ce-source": "/receiver",
                "ce-type": event.get("ce-type", "") + ".answered",
                "content-type": "application/json",
            }
            return self.reply(200, b"{}", headers)
        return self.reply(204, b"")

    def do_GET(self) -> None:
        self.reply(200, b"")

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
