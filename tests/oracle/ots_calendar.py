"""An OpenTimestamps calendar for tests: the protocol of a calendar server over a chain of headers that it mines itself.

    ots_calendar.py --headers FILE [--port N] [--height N] [--bits HEX] [--mine-every SECONDS]

    --headers FILE      where the 80-byte headers are written, oldest first; replaced whole after every block
    --port N            port on 127.0.0.1; 0, which is the default, takes a free one
    --height N          height of the first header, which is mined at the start and is the one to pin; 100 unless given
    --bits HEX          target of every header in compact form; 1f00ffff unless given, about 65,536 hashes a block
    --mine-every S      mine a block every S seconds where digests wait for one; without it only POST /mine does

Prints one line of JSON once it listens: {"url": ..., "pin": {"height": ..., "hash": ...}}, and goes on until it is killed.

    POST /digest            1 to 64 bytes: the timestamp of that digest, which ends in a pending attestation naming this calendar
    GET  /timestamp/HEX     the timestamp of a commitment, which ends in a Bitcoin attestation; 404 while it waits for a block
    POST /mine              mines a block of all that waits, then N - 1 empty ones for a body of N digits (1 without a body);
                            answers {"height": ..., "hash": ...} of the first of them
    POST /                  JSON-RPC as a Bitcoin node answers it: getblockcount, getblockhash, getblockheader

Uses the `opentimestamps` package of PyPI alone. Not a real calendar: it keeps nothing on disk, and its chain is nobody's.
"""

import argparse
import hashlib
import hmac
import json
import os
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentimestamps.core.notary import BitcoinBlockHeaderAttestation, PendingAttestation
from opentimestamps.core.op import OpAppend, OpPrepend, OpSHA256
from opentimestamps.core.serialize import BytesSerializationContext
from opentimestamps.core.timestamp import Timestamp, cat_sha256d, make_merkle_tree

START_TIME = 1_700_000_000
BLOCK_SECONDS = 600


def sha256d(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def serialized(timestamp):
    context = BytesSerializationContext()
    timestamp.serialize(context)
    return context.getbytes()


class Chain:
    """Headers from `height` on, each with the work that `bits` asks."""

    def __init__(self, height, bits, path):
        self.first, self.bits, self.path, self.headers = height, bits, path, []
        self.target = (bits & 0x7FFFFF) << (8 * ((bits >> 24) - 3))
        self.mine(bytes(32))

    def mine(self, merkle_root):
        """Adds a header with this merkle root and returns its height."""
        previous = sha256d(self.headers[-1]) if self.headers else bytes(32)
        when = START_TIME + BLOCK_SECONDS * len(self.headers)
        head = struct.pack("<I32s32sII", 4, previous, merkle_root, when, self.bits)
        nonce = 0
        while int.from_bytes(sha256d(head + struct.pack("<I", nonce)), "little") > self.target:
            nonce += 1
        self.headers.append(head + struct.pack("<I", nonce))
        with open(self.path + ".part", "wb") as file:
            file.write(b"".join(self.headers))
        os.replace(self.path + ".part", self.path)
        return self.first + len(self.headers) - 1

    def hash_of(self, height):
        return sha256d(self.headers[height - self.first])[::-1].hex()


class Calendar:
    """What waits for a block, and what has one."""

    def __init__(self, chain):
        self.chain, self.uri = chain, None
        self.lock, self.waiting, self.kept = threading.Lock(), {}, {}

    def submit(self, digest):
        """A timestamp from a digest to a commitment, as otsd makes it: nonce, time in front, message authentication code behind."""
        with self.lock:
            timestamp = Timestamp(digest)
            count = len(self.waiting) + len(self.kept)
            nonced = timestamp.ops.add(OpAppend(hashlib.sha256(b"nonce %d" % count).digest()[:16]))
            timed = nonced.ops.add(OpSHA256()).ops.add(OpPrepend(struct.pack(">I", START_TIME + count)))
            code = hmac.new(b"a calendar for tests", timed.msg, "sha256").digest()[:8]
            commitment = timed.ops.add(OpAppend(code))
            commitment.attestations.add(PendingAttestation(self.uri))
            self.waiting[commitment.msg] = Timestamp(commitment.msg)
            return serialized(timestamp)

    def timestamp(self, commitment):
        with self.lock:
            found = self.kept.get(commitment)
            return serialized(found) if found else None

    def mine(self, blocks):
        """Mines a block whose second transaction holds the root of all commitments that wait, and empty ones after it."""
        with self.lock:
            if self.waiting:
                root = make_merkle_tree([self.waiting[key].ops.add(OpSHA256()) for key in sorted(self.waiting)])
                transaction = root.ops.add(OpPrepend(b"transaction ")).ops.add(OpAppend(b" for tests"))
                txid = transaction.ops.add(OpSHA256()).ops.add(OpSHA256())
                merkle_root = cat_sha256d(Timestamp(sha256d(b"coinbase")), txid)
                height = self.chain.mine(merkle_root.msg)
                merkle_root.attestations.add(BitcoinBlockHeaderAttestation(height))
                self.kept.update(self.waiting)
                self.waiting.clear()
            else:
                height = self.chain.mine(sha256d(b"empty"))
            for _ in range(blocks - 1):
                self.chain.mine(sha256d(b"empty"))
            return {"height": height, "hash": self.chain.hash_of(height)}


    def asked(self, call):
        """What a Bitcoin node that has these headers answers."""
        method, params = call["method"], call["params"]
        with self.lock:
            count = self.chain.first + len(self.chain.headers) - 1
            if method == "getblockcount":
                return {"result": count}
            if method == "getblockhash" and self.chain.first <= params[0] <= count:
                return {"result": self.chain.hash_of(params[0])}
            for header in self.chain.headers:
                if method == "getblockheader" and params[0] == sha256d(header)[::-1].hex():
                    return {"result": header.hex()}
        return {"error": {"code": -8, "message": "Block height out of range"}}


class Handler(BaseHTTPRequestHandler):
    calendar = None

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        if length > (64 if self.path != "/" else 4096):
            return self.answer(400, b"too long")
        body = self.rfile.read(length)
        if self.path == "/":
            call = json.loads(body)
            said = {"result": None, "error": None, "id": call["id"], **self.calendar.asked(call)}
            return self.answer(200, json.dumps(said).encode(), "application/json")
        if self.path == "/digest" and body:
            return self.answer(200, self.calendar.submit(body), "application/vnd.opentimestamps.v1")
        if self.path == "/mine" and (not body or body.isdigit()):
            mined = self.calendar.mine(max(1, int(body or b"1")))
            return self.answer(200, json.dumps(mined).encode(), "application/json")
        return self.answer(400, b"not a digest")

    def do_GET(self):
        if not self.path.startswith("/timestamp/"):
            return self.answer(404, b"no such page")
        try:
            commitment = bytes.fromhex(self.path.removeprefix("/timestamp/"))
        except ValueError:
            return self.answer(400, b"not hex")
        found = self.calendar.timestamp(commitment)
        if found is None:
            return self.answer(404, b"Pending confirmation in Bitcoin blockchain")
        return self.answer(200, found, "application/vnd.opentimestamps.v1")

    def answer(self, status, body, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--headers", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--height", type=int, default=100)
    parser.add_argument("--bits", type=lambda text: int(text, 16), default=0x1F00FFFF)
    parser.add_argument("--mine-every", type=float)
    options = parser.parse_args()

    calendar = Calendar(Chain(options.height, options.bits, options.headers))
    Handler.calendar = calendar
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    calendar.uri = "http://127.0.0.1:%d" % server.server_address[1]
    pin = {"height": options.height, "hash": calendar.chain.hash_of(options.height)}
    print(json.dumps({"url": calendar.uri, "pin": pin}), flush=True)
    if options.mine_every:
        threading.Thread(target=mine_for_ever, args=(calendar, options.mine_every), daemon=True).start()
    server.serve_forever()


def mine_for_ever(calendar, seconds):
    while True:
        time.sleep(seconds)
        if calendar.waiting:
            calendar.mine(1)


if __name__ == "__main__":
    main()
