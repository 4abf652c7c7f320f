"""A web server for tests. usage: http_server.py FILE: writes its port to FILE, serves until standard input ends.

  /say/TEXT      200, TEXT                     /status/N     status N, body "N"
  /echo          200, the request's headers    /big/N        200, N bytes
  /redirect/N    N redirects, then "arrived"   /loop         redirects without end
  /close         ends without an answer        /hang         no answer as long as the server runs
  /after/KEY     answers once /release/KEY was asked for; neither takes time, so tests need no clock
  /subjects/S/versions (POST), /subjects/S/versions/latest, /schemas/ids/N: as a schema registry; the first is 1
  /rude/HOW/…    as a registry that answers otherwise: HOW is a status, html, loop, none, nonsense, hang
  /asked/KEY/…   says so to /after/KEY-asked, and answers the rest once /release/KEY was asked for
  /counted/KEY/… answers the rest, and /count/KEY how often it was asked
  /flaky/N/KEY   ends without an answer the first N times, then 200, "N"
"""
import http.server
import json
import sys
import threading

lock = threading.Lock()
gates, counts = {}, {}
schemas, subjects = [], {}  # a schema's number is its place, from 1


def gate(key):
    with lock:
        return gates.setdefault(key, threading.Event())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, status=200, headers=()):
        data = body.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        what, *rest = self.path.strip("/").split("/")
        getattr(self, "on_" + what, self.on_unknown)(*rest)

    def do_POST(self):
        what, subject, *rest = self.path.strip("/").split("/")
        schema = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["schema"]
        if what != "subjects" or rest != ["versions"]:
            return self.on_unknown()
        with lock:
            if schema not in schemas:
                schemas.append(schema)
            subjects[subject] = schemas.index(schema) + 1
            self.answer(json.dumps({"id": subjects[subject]}))

    def on_subjects(self, subject, *rest):
        n = subjects.get(subject)
        if not n:
            return self.answer(json.dumps({"error_code": 40401, "message": "Subject not found"}), 404)
        self.answer(json.dumps({"subject": subject, "version": 1, "id": n, "schema": schemas[n - 1]}))

    def on_schemas(self, ids, n):
        if not 0 < int(n) <= len(schemas):
            return self.answer(json.dumps({"error_code": 40403, "message": "Schema not found"}), 404)
        self.answer(json.dumps({"schema": schemas[int(n) - 1]}))

    def on_unknown(self, *rest):
        self.answer("404", 404)

    def on_say(self, text):
        self.answer(text)

    def on_status(self, n):
        self.answer(n, int(n), [("X-Twice", "a"), ("X-Twice", "b")])

    def on_echo(self):
        self.answer("".join("%s: %s\n" % item for item in self.headers.items()))

    def on_big(self, n):
        self.answer("x" * int(n))

    def on_redirect(self, n):
        if int(n) == 0:
            return self.answer("arrived")
        self.answer("", 302, [("Location", "/redirect/%d" % (int(n) - 1)), ("X-Hop", "yes")])

    def on_loop(self):
        self.answer("", 302, [("Location", "/loop")])

    def on_close(self):
        self.close_connection = True

    def on_hang(self):
        gate("hang").wait()
        self.close_connection = True

    def on_after(self, key):
        gate(key).wait()
        self.answer("after " + key)

    def on_release(self, key):
        gate(key).set()
        self.answer("release " + key)

    def on_asked(self, key, what, *rest):
        gate(key + "-asked").set()
        gate(key).wait()
        getattr(self, "on_" + what)(*rest)

    def on_counted(self, key, what, *rest):
        with lock:
            counts[key] = counts.get(key, 0) + 1
        getattr(self, "on_" + what)(*rest)

    def on_count(self, key):
        self.answer(str(counts.get(key, 0)))

    def on_rude(self, how, *rest):
        answers = {"html": "<html>", "none": "{}", "nonsense": json.dumps({"schema": "{\"type\":\"nonsense\"}"})}
        if how in ("loop", "hang"):
            return getattr(self, "on_" + how)()
        self.answer(answers.get(how, how), int(how) if how.isdigit() else 200)

    def on_flaky(self, n, key):
        with lock:
            counts[key] = counts.get(key, 0) + 1
            good = counts[key] > int(n)
        if good:
            return self.answer(n)
        self.close_connection = True

    def log_message(self, *rest):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        pass  # a client that went away


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with open(sys.argv[1], "w") as out:
    out.write("%d\n" % server.server_address[1])
sys.stdin.read()
