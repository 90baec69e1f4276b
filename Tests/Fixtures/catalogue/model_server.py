#!/usr/bin/env python3
"""A small HTTP server for tests of downloads, with the faults that real ones have.

    model_server.py FILE PORT_FILE

Serves FILE under these paths; PORT_FILE gets the port when it listens, and FILE.log a line for each request.

    /good      with ranges
    /plain     without: a Range header is ignored
    /short     says the whole length and closes the connection after half of what is left
    /missing   404
    /busy      503
    /empty     200 and nothing
    /endless   no length, and 64 times as much as the file has
"""
import http.server, os, sys

file, port_file = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        content = open(file, "rb").read()
        start = 0
        header = self.headers.get("Range")
        with open(file + ".log", "a") as log:
            log.write(f"{self.path} {header or 'whole'}\n")
        if self.path == "/missing":
            return self.send_error(404)
        if self.path == "/busy":
            return self.send_error(503)
        if self.path == "/empty":
            content = b""
        if header and self.path != "/plain":
            start = int(header.removeprefix("bytes=").split("-")[0])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        rest = content[start:]
        if self.path == "/endless":
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            try:
                for _ in range(64):
                    self.wfile.write(content)
            except OSError:
                pass
            return
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.path == "/short":
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(rest)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(port_file + ".new", "w") as out:
    out.write(str(server.server_port))
os.rename(port_file + ".new", port_file)
server.serve_forever()
