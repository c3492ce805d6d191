"""The image `test/echo`: answers with all that it was asked and started with, or misbehaves as its environment says."""

import http.server
import json
import os
import subprocess
import sys
import time


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.read_body()
        print(self.command, self.path, flush=True)
        if self.path.startswith("/exit"):
            os._exit(7)
        if self.path.startswith("/redirect"):
            return self.reply(302, b"", ("location", "/elsewhere"))
        if self.path.startswith("/bytes"):
            return self.reply(200, bytes(range(256)) * 4096, ("content-encoding", "br"))
        if self.path.startswith("/stream"):
            return self.stream()
        if self.path.startswith("/forever"):
            return self.tick()
        if self.path.startswith("/sleep"):
            time.sleep(0.3)
        said = {
            "method": self.command,
            "path": self.path,
            "headers": list(self.headers.items()),
            "env": dict(os.environ),
            "argv": sys.argv,
            "cwd": os.getcwd(),  # noqa: PTH109 (a string for JSON)
            "pid": os.getpid(),
            "body": body.decode("latin-1"),
        }
        return self.reply(200, json.dumps(said).encode(), ("content-type", "application/json"))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815 (the library's names)

    def read_body(self) -> bytes:
        length = self.headers.get("content-length")
        if length is not None:
            return self.rfile.read(int(length))
        body = b""
        if self.headers.get("transfer-encoding"):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return body

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number in range(3):
            self.wfile.write(b"2\r\n%d\n\r\n" % number)
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def tick(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"tick\n")
                time.sleep(0.05)
        finally:
            print("forever ended", flush=True)

    def reply(self, status: int, body: bytes, header: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header(*header)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    time.sleep(float(os.environ.get("SLOW", "0")))
    if os.environ.get("BROKEN"):
        print("cannot start: " + os.environ["BROKEN"], flush=True)
        sys.exit(3)
    if os.environ.get("CHILD"):
        child = subprocess.Popen(["sleep", "600"])  # noqa: F841 (kept: collected, it would warn)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Echo).serve_forever()


if __name__ == "__main__":
    main()
