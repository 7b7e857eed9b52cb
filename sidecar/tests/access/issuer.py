"""An OpenID Connect issuer for the tests: serves its keys over HTTP on loopback and signs whatever it is told to.

Prints its address, then answers each line of JSON on standard input with one line. Signatures are by Python's cryptography, which shares no
code with what checks them. "mode" says how the keys are served: well, or in one of the ways in which they should not be.
"""

import base64
import hashlib
import hmac
import http.server
import json
import sys
import threading
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, length=None):
    return b64(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


KEYS = {
    "rs": rsa.generate_private_key(65537, 2048),
    "es": ec.generate_private_key(ec.SECP256R1()),
    "ed": ed25519.Ed25519PrivateKey.generate(),
    "stranger": rsa.generate_private_key(65537, 2048),
    "next": ec.generate_private_key(ec.SECP256R1()),
}
STATE = {"mode": "well", "asked": 0}


def jwk(name):
    public = KEYS[name].public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "kid": name, "use": "sig", "n": number(numbers.n), "e": number(numbers.e)}
    if isinstance(public, ec.EllipticCurvePublicKey):
        numbers = public.public_numbers()
        return {
            "kty": "EC", "kid": name, "use": "sig", "alg": "ES256", "crv": "P-256",
            "x": number(numbers.x, 32), "y": number(numbers.y, 32),
        }
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "kid": name, "alg": "EdDSA", "crv": "Ed25519", "x": b64(raw)}


def document(mode):
    keys = [jwk("rs"), jwk("es"), jwk("ed")]
    encryption = {**jwk("stranger"), "use": "enc", "kid": "stranger"}
    odd = {"kty": "oct", "kid": "secret", "k": b64(b"x" * 32)}
    if mode == "rotated":
        return {"keys": [jwk("next"), encryption]}
    if mode == "twice":
        return {"keys": [*keys, {**jwk("next"), "kid": "es"}]}
    if mode == "empty":
        return {"keys": [encryption, odd]}
    return {"keys": [*keys, encryption, odd, 7]}


def sign(question):
    header, claims, name = question["header"], question["claims"], question["key"]
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    data = signed.encode()
    if name == "none":
        return signed + "."
    if name == "shared":
        # The public key as an HMAC secret: what a library that trusts the header's alg would check with.
        pem = KEYS["rs"].public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return f"{signed}.{b64(hmac.new(pem, data, hashlib.sha256).digest())}"
    key = KEYS[name]
    if isinstance(key, rsa.RSAPrivateKey):
        how = padding.PKCS1v15()
        if header["alg"] == "PS256":
            how = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        signature = key.sign(data, how, hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    else:
        signature = key.sign(data)
    return f"{signed}.{b64(signature)}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        mode = STATE["mode"]
        STATE["asked"] += 1
        if mode == "down":
            self.close_connection = True
            return
        if mode == "slow":
            time.sleep(8)
        if mode == "redirect" and self.path == "/jwks":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if mode == "failing":
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = json.dumps(document(mode)).encode()
        if mode == "huge":
            body = b" " * (2 << 20) + body
        if mode == "html":
            body = b"<html>log in</html>"
        if mode == "list":
            body = b"[]"
        if mode == "nested":
            body = b"[" * 100000
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"address": f"http://127.0.0.1:{server.server_port}"}), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        if question["do"] == "mode":
            STATE["mode"] = question["mode"]
            answer = {"asked": STATE["asked"]}
        elif question["do"] == "keys":
            answer = document("well")
        else:
            answer = {"token": sign(question)}
        print(json.dumps(answer), flush=True)


main()
