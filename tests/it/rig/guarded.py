"""A door with TLS and a guard before a search server: guarded.py PORT CERTIFICATE KEY UPSTREAM ALLOWED.

Passes on requests whose Authorization stands, as a line, in the file ALLOWED, which may change at any time; answers 401
to all others, in the words of Elasticsearch.
"""

import http.client
import http.server
import ssl
import sys

port, certificate, key, upstream, allowed = sys.argv[1:]
REFUSAL = b'{"error":{"type":"security_exception","reason":"missing or wrong credentials"},"status":401}'


class Door(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        with open(allowed) as file:
            is_allowed = self.headers.get("authorization") in file.read().splitlines()
        if not is_allowed:
            return self.reply(401, "application/json", REFUSAL)
        server = http.client.HTTPConnection(upstream, timeout=60)
        server.request(self.command, self.path, body, {"content-type": self.headers.get("content-type", "")})
        answer = server.getresponse()
        self.reply(answer.status, answer.headers.get("content-type", ""), answer.read())
        server.close()

    def reply(self, status, content_type, body):
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = pass_on


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, request, address):
        # Here, in the connection's own thread: a client that shakes no hands holds up nobody else.
        super().finish_request(context.wrap_socket(request, server_side=True), address)

    def handle_error(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
Server(("127.0.0.1", int(port)), Door).serve_forever()
