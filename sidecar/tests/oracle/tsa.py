"""A timestamp authority for tests: the HTTP protocol of RFC 3161 around `openssl ts -reply`, and its ways to go wrong.

    tsa.py --pki DIR [--port N] [--tls CERT KEY]

    --pki DIR           a folder with tsa.pem, tsa.key and, for the modes that need them, expired.pem, purpose.pem, revoked.pem and
                        keys of the same names
    --port N            port on 127.0.0.1; 0, which is the default, takes a free one
    --tls CERT KEY      speaks https with this certificate, PEM

Prints one line of JSON once it listens: {"url": ...}, and goes on until it is killed.

    POST /tsr           a timestamp request; what is answered depends on the mode
    POST /mode          sets the mode: ok slow garbage oversized redirect error close replay nonce expired purpose revoked truncated empty
    GET  /count         how many timestamp requests came

Not a real authority: its clock is this machine's and its key lies in a folder.
"""

import argparse
import json
import ssl
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONFIG = """
[tsa]
default_tsa = one
[one]
serial = {pki}/serial.txt
signer_cert = {pki}/tsa.pem
signer_key = {pki}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.5
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def der(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


class Authority:
    def __init__(self, pki):
        self.pki, self.mode, self.count, self.kept = Path(pki), "ok", 0, None
        self.lock = threading.Lock()
        (self.pki / "ts.cnf").write_text(CONFIG.format(pki=self.pki))
        (self.pki / "serial.txt").write_text("01\n")

    def openssl(self, *arguments):
        ran = subprocess.run(["openssl", *arguments], capture_output=True, check=False)
        if ran.returncode != 0:
            raise RuntimeError(ran.stderr.decode())

    def reply(self, request):
        """The reply of an authority in order."""
        with self.lock, tempfile.TemporaryDirectory() as folder:
            query, reply = f"{folder}/query", f"{folder}/reply"
            Path(query).write_bytes(request)
            config = str(self.pki / "ts.cnf")
            self.openssl("ts", "-reply", "-config", config, "-section", "one", "-queryfile", query, "-out", reply)
            return Path(reply).read_bytes()

    def asked_otherwise(self, request):
        """A request for the same digest with another nonce."""
        digest = request[request.index(b"\x04\x20") + 2:][:32].hex()
        with tempfile.TemporaryDirectory() as folder:
            query = f"{folder}/query"
            self.openssl("ts", "-query", "-digest", digest, "-sha256", "-cert", "-out", query)
            return Path(query).read_bytes()

    def signed_by(self, name, request):
        """The same statement, signed by a certificate that may not make it."""
        whole = self.reply(request)
        with tempfile.TemporaryDirectory() as folder:
            reply, token, info, other = (f"{folder}/{part}" for part in ("reply", "token", "info", "other"))
            Path(reply).write_bytes(whole)
            self.openssl("ts", "-reply", "-in", reply, "-token_out", "-out", token)
            self.openssl("cms", "-verify", "-noverify", "-in", token, "-inform", "DER", "-binary", "-out", info)
            self.openssl(
                "cms", "-sign", "-binary", "-nodetach", "-nosmimecap", "-cades", "-in", info,
                "-econtent_type", "1.2.840.113549.1.9.16.1.4", "-signer", str(self.pki / f"{name}.pem"),
                "-inkey", str(self.pki / f"{name}.key"), "-outform", "DER", "-out", other,
            )
            return der(0x30, der(0x30, b"\x02\x01\x00"), Path(other).read_bytes())


class Handler(BaseHTTPRequestHandler):
    authority = None

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/mode":
            self.authority.mode = body.decode()
            return self.answer(200, b"")
        if self.path != "/tsr" or self.headers.get("Content-Type") != "application/timestamp-query":
            return self.answer(404, b"no such page")
        self.authority.count += 1
        return self.stamp(body)

    def stamp(self, request):
        mode, authority = self.authority.mode, self.authority
        if mode == "slow":
            time.sleep(20)
        if mode == "garbage":
            return self.answer(200, b"<html>not a timestamp</html>")
        if mode == "empty":
            return self.answer(200, b"")
        if mode == "oversized":
            return self.answer(200, b"0" * 5_000_000)
        if mode == "redirect":
            return self.answer(302, b"", location="/elsewhere")
        if mode == "error":
            return self.answer(500, b"out of order")
        if mode == "close":
            self.close_connection = True
            return self.connection.close()
        if mode == "replay" and authority.kept:
            return self.answer(200, authority.kept)
        if mode in ("expired", "purpose", "revoked"):
            return self.answer(200, authority.signed_by(mode, request))
        reply = authority.reply(authority.asked_otherwise(request) if mode == "nonce" else request)
        if mode == "truncated":
            reply = reply[:-7]
        authority.kept = reply
        return self.answer(200, reply)

    def do_GET(self):
        if self.path == "/count":
            return self.answer(200, str(self.authority.count).encode())
        return self.answer(404, b"no such page")

    def answer(self, status, body, location=None):
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            # Whoever asked has had enough.
            pass

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pki", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2)
    options = parser.parse_args()

    Handler.authority = Authority(options.pki)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    scheme, host = "http", "127.0.0.1"
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme, host = "https", "localhost"
    print(json.dumps({"url": "%s://%s:%d" % (scheme, host, server.server_address[1])}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
