"""Draws an audit's decisions a second time, and writes the golden vectors of the draw:
`python3 tests/oracle/audit_draw.py > verifier/tests/vectors/audit_draw.json`.

Plain Python 3.11, standard library only, from `docs/spec/audit-draw.md`. It checks no signature.
"""

import hashlib
import json

import cbor


def sha256(data):
    return hashlib.sha256(data).digest()


def seed_of(plan, values):
    """The seed of a plan's text and the values of its sources, in hex."""
    fields = json.loads(plan)
    sources = [[source, bytes.fromhex(value)] for source, value in zip(fields["randomness"], values, strict=True)]
    root, digest = bytes.fromhex(fields["root"]), sha256(plan.encode())
    return sha256(cbor.encode(["ledgerstone/audit-seed/v1", fields["origin"], fields["tree_size"], root, digest, sources]))


def order(seed, places):
    """The places from 0 on, in the order in which the seed has them looked at."""
    counter, moved = 0, {}
    for here in range(places):
        left = places - here
        while True:
            number = int.from_bytes(sha256(seed + counter.to_bytes(8, "big"))[:8], "big") >> (64 - (left - 1).bit_length())
            counter += 1
            if number < left:
                break
        there = here + number
        yield moved.get(there, there)
        moved[there] = moved.pop(here, here)


def draw(plan, values, is_decision):
    """What is drawn and what is skipped."""
    fields = json.loads(plan)
    drawn, skipped = [], []
    for place in order(seed_of(plan, values), fields["last_index"] - fields["first_index"] + 1):
        if len(drawn) == fields["decisions"]:
            break
        index = fields["first_index"] + place
        (drawn if is_decision(index) else skipped).append(index)
    return drawn, skipped


def first(items, count):
    return [item for item, _ in zip(items, range(count))]


def plan_text(first_index, last_index, tolerable, decisions, randomness):
    fields = {
        "format": "ledgerstone-audit-plan/v1",
        "origin": "log.example.com/lending",
        "tree_size": last_index + 1,
        "root": sha256(b"root").hex(),
        "first_index": first_index,
        "last_index": last_index,
        "drawn": "decision",
        "draw": "ledgerstone-audit-draw/v1",
        "method": "fixed",
        "tolerable": tolerable,
        "confidence": "95%",
        "expected": "0%",
        "allowed": 0,
        "decisions": decisions,
        "passes": ["EXACT"],
        "randomness": randomness,
    }
    return json.dumps(fields, indent=2) + "\n"


def main():
    orders = []
    for places, count in [(1, 1), (2, 2), (3, 3), (4, 4), (12, 12), (257, 257), (1_000_000, 40), (2**53 - 1, 20), (2**53, 20)]:
        seed = sha256(b"order of %d" % places)
        orders.append({"seed": seed.hex(), "places": places, "order": first(order(seed, places), count)})
    secrets = [sha256(b"secret of %d" % number) for number in range(2)]
    nonces = [f"nonce:auditor-{number}:{sha256(secret).hex()}" for number, secret in enumerate(secrets)]
    draws = []
    # A decision stands where the index is no multiple of `every`.
    for first_index, last_index, tolerable, decisions, every in [
        (0, 999_999, "1%", 299, 10),
        (5, 104, "5%", 59, 2),
        (0, 11, "5%", 59, 3),
        (2**52, 2**53 - 1, "10%", 29, 7),
        (7, 7, "10%", 29, 2),
    ]:
        plan = plan_text(first_index, last_index, tolerable, decisions, nonces)
        values = [secret.hex() for secret in secrets]
        drawn, skipped = draw(plan, values, lambda index: index % every != 0)
        seed = seed_of(plan, values).hex()
        draws.append({"plan": plan, "values": values, "every": every, "seed": seed, "drawn": drawn, "skipped": skipped})
    print(json.dumps({"orders": orders, "draws": draws}, indent=1))


if __name__ == "__main__":
    main()
