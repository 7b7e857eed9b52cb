"""Checks an anchor in an EVM contract, `proof.evm`, without any code of ours: with the Ethereum Foundation's Python libraries.

    evm_bundle.py STATEMENT PROOF CODE_HASH CHAIN_ID BLOCK...   prints what the bundle shows, or fails with what is wrong
    evm_bundle.py lines                                         the same in hexadecimal, a line each; prints `shown` or `refused`

STATEMENT and PROOF are the files `statement` and `proof.evm` of one anchor, CODE_HASH is the Keccak-256 of the contract's code
(contracts/AnchorHead.code-hash.txt), and each BLOCK the hash of a block that you know to be the chain's. All hashes in hexadecimal.

What is checked follows docs/anchoring.md, "The bundle `proof.evm`". Left out is the light client's part (key 10): a bundle is shown
under a block that is given, and under nothing else. Needs tests/oracle/evm_requirements.txt.
"""

import hashlib
import sys

import rlp
from eth_hash.auto import keccak
from trie import HexaryTrie

ADVANCED = b"Advanced(bytes32,uint32,uint64,bytes32,bytes32)"
VERSION = 1


def check(holds, otherwise):
    if not holds:
        raise ValueError(otherwise)


def cbor(data, at=0):
    """One item of deterministic CBOR (RFC 8949, 4.2.1) of the kinds that occur, and where it ends."""
    major, argument, at = data[at] >> 5, data[at] & 31, at + 1
    if argument >= 24:
        width = {24: 1, 25: 2, 26: 4, 27: 8}[argument]
        check(at + width <= len(data), "CBOR is cut off")
        argument, least, at = int.from_bytes(data[at : at + width], "big"), {1: 24}.get(width, 1 << 4 * width), at + width
        check(argument >= least, "a CBOR number is longer than needed")
    if major in (2, 3):
        check(at + argument <= len(data), "CBOR is cut off")
        text = data[at : at + argument]
        return text if major == 2 else text.decode(), at + argument
    check(major in (0, 4, 5), "a kind of CBOR that nothing here has")
    items = []
    for _ in range({4: argument, 5: 2 * argument}.get(major, 0)):
        item, at = cbor(data, at)
        items.append(item)
    if major == 5:
        keys = items[::2]
        check(keys == sorted(set(keys)), "the keys of a map are not in order")
        return dict(zip(keys, items[1::2])), at
    return argument if major == 0 else items, at


def whole_cbor(data):
    value, end = cbor(data)
    check(end == len(data) and isinstance(value, dict), "not one map of CBOR")
    return value


def headers_of(encoded):
    """Each header's hash and fields; each must be the parent of the next."""
    headers = [(keccak(bytes(header)), rlp.decode(header)) for header in encoded]
    for (parent, above), (_, below) in zip(headers, headers[1:]):
        check(below[0] == parent and number(below) == number(above) + 1, "a header does not follow the one before it")
    return headers


def number(fields):
    return int.from_bytes(fields[8], "big")


def value_at(root, key, nodes):
    """The value of a key under a root. The nodes are those on the way to it, in their order, and no other."""
    check(nodes and keccak(nodes[0]) == root, "the first node is not the root's")
    for above, below in zip(nodes, nodes[1:]):
        check(keccak(below) in above, "a node is not named by the one above it")
    value = HexaryTrie.get_from_proof(root, key, [rlp.decode(node) for node in nodes])
    check(value != b"", "the proof shows that there is no value")
    if len(nodes) > 1:
        try:
            HexaryTrie.get_from_proof(root, key, [rlp.decode(node) for node in nodes[:-1]])
        except Exception:  # noqa: BLE001: without its last node the proof must be none, whatever the library calls that
            return value
        raise ValueError("the last node is not needed")
    return value


def word_at(root, slot, nodes):
    value = rlp.decode(value_at(root, keccak(slot), nodes))
    check(isinstance(value, bytes) and len(value) <= 32 and value[:1] != b"\0", "a slot holds no number")
    return value.rjust(32, b"\0")


def slot(base, offset):
    return ((int.from_bytes(base, "big") + offset) % (1 << 256)).to_bytes(32, "big")


def check_receipt(part, first, contract, log_id, statement, digest):
    check(list(part) == [1, 2, 3], "the receipt's part has other keys")
    headers = headers_of([*part[1], first])
    receipt = value_at(headers[0][1][5], rlp.encode(part[2]), part[3])
    status, _, _, logs = rlp.decode(receipt[1:] if receipt[0] < 0x80 else receipt)
    check(status == b"\1", "the transaction was reverted")
    data = slot(bytes(32), statement[4]) + slot(bytes(32), statement[6]) + statement[8] + digest
    check([contract, [keccak(ADVANCED), log_id], data] in logs, "the receipt holds no event for this statement")


def shown(statement_bytes, proof, code_hash, chain_id, blocks):
    """What the bundle shows; raises where it shows nothing."""
    statement, bundle = whole_cbor(statement_bytes), whole_cbor(proof)
    keys = list(bundle)
    check(keys[:8] == list(range(1, 9)) and set(keys[8:]) <= {9, 10} and bundle[1] == VERSION, "not a bundle of this version")
    check(bundle[2] == chain_id, "the bundle is of another chain")
    contract, first_key, headers = bundle[3], bundle[4], headers_of(bundle[5])
    check(len(contract) == 20 and len(first_key) == 20 and headers, "no addresses, or no header")
    known = [fields for block, fields in headers if block in blocks]
    check(known, "no header is of a block that you know")

    # The contract's account in the first block's state, and in its storage the log's head: docs/anchoring.md, "The contract".
    _, _, storage, code = rlp.decode(value_at(headers[0][1][3], keccak(contract), bundle[6]))
    check(code == code_hash, "the contract has other code")
    digest = hashlib.sha256(statement_bytes).digest()
    log_id = keccak(first_key.rjust(32, b"\0") + hashlib.sha256(statement[2].encode()).digest())
    base = keccak(log_id + bytes(32))
    head = word_at(storage, base, bundle[7])
    check(word_at(storage, slot(base, 1), bundle[8]) == digest, "the contract names another statement")
    key, size, seq = head[:20], int.from_bytes(head[20:28], "big"), int.from_bytes(head[28:], "big")
    check(key != bytes(20) and (size, seq) == (statement[6], statement[4]), "the contract states another size or number")
    if 9 in bundle:
        check_receipt(bundle[9], bundle[5][0], contract, log_id, statement, digest)
    return (
        f"statement {seq} of {statement[2]}, {size} entries, is the latest in block {number(headers[0][1])} of chain {chain_id},\n"
        f"contract 0x{contract.hex()}, first key 0x{first_key.hex()}; known is block {number(known[0])}"
        f"{'; the receipt names it too' if 9 in bundle else ''}"
    )


def word(text):
    return bytes.fromhex(text.strip().removeprefix("0x"))


def main():
    if sys.argv[1:] == ["lines"]:
        for line in sys.stdin:
            statement, proof, code, chain_id, *blocks = line.split()
            try:
                shown(word(statement), word(proof), word(code), int(chain_id), [word(block) for block in blocks])
                print("shown")
            except Exception:  # noqa: BLE001: whatever the libraries raise, the bundle shows nothing
                print("refused")
        return
    statement, proof, code, chain_id, *blocks = sys.argv[1:]
    files = [open(name, "rb").read() for name in (statement, proof)]
    print(shown(*files, word(code), int(chain_id), [word(block) for block in blocks]))


if __name__ == "__main__":
    main()
