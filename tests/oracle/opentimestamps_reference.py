"""The reference implementation of OpenTimestamps as an oracle: one line in, one line out.

    opentimestamps_reference.py reserialise          HEX of an .ots file      -> HEX of what the reference writes, or `refused`
    opentimestamps_reference.py messages             HEX of an .ots file      -> each attestation's message in HEX, sorted
    opentimestamps_reference.py verify               HEX of a file, HEX of a header -> the block's time, or `refused`
    opentimestamps_reference.py random SEED COUNT    nothing                  -> HEX of COUNT random .ots files
"""

import hashlib
import random
import sys
import warnings

from bitcoin.core import CBlockHeader

from opentimestamps.core.dubious.notary import EthereumBlockHeaderAttestation
from opentimestamps.core.notary import (
    BitcoinBlockHeaderAttestation,
    LitecoinBlockHeaderAttestation,
    PendingAttestation,
    UnknownAttestation,
    VerificationError,
)
from opentimestamps.core.op import (
    MsgValueError,
    OpAppend,
    OpHexlify,
    OpKECCAK256,
    OpPrepend,
    OpReverse,
    OpRIPEMD160,
    OpSHA1,
    OpSHA256,
)
from opentimestamps.core.serialize import BytesDeserializationContext, BytesSerializationContext
from opentimestamps.core.timestamp import DetachedTimestampFile, Timestamp


def write(proof):
    context = BytesSerializationContext()
    proof.serialize(context)
    return context.getbytes()


def read(data):
    proof = DetachedTimestampFile.deserialize(BytesDeserializationContext(data))
    for _, attestation in proof.timestamp.all_attestations():
        # The one thing that the reference reads and Ledgerstone says it does not.
        if getattr(attestation, "height", 0) >= 2**64:
            raise ValueError("past 64 bits")
    return proof


def reserialise(line):
    try:
        return write(read(bytes.fromhex(line))).hex()
    except Exception:  # noqa: BLE001: whatever it raises, it does not read the file
        return "refused"


def messages(line):
    return " ".join(sorted(message.hex() for message, _ in read(bytes.fromhex(line)).timestamp.all_attestations()))


def verify(line):
    proof, header = map(bytes.fromhex, line.split())
    for message, attestation in read(proof).timestamp.all_attestations():
        if isinstance(attestation, BitcoinBlockHeaderAttestation):
            try:
                return str(attestation.verify_against_blockheader(message, CBlockHeader.deserialize(header)))
            except VerificationError:
                return "refused"
    return "refused"


def random_attestation(draw):
    height = draw.choice([0, 127, 128, draw.randrange(2**20), draw.randrange(2**64)])
    text = "".join(draw.choices("abcXYZ019-._/:", k=draw.choice([0, 1, 30, 1000])))
    return draw.choice(
        [
            PendingAttestation(text),
            BitcoinBlockHeaderAttestation(height),
            LitecoinBlockHeaderAttestation(height),
            EthereumBlockHeaderAttestation(height),
            UnknownAttestation(draw.randbytes(8), draw.randbytes(draw.choice([0, 5, 200, 8192]))),
        ]
    )


def random_operation(draw):
    argument = draw.randbytes(draw.choice([1, 4, 32, 127, 128, 1500]))
    plain = [OpSHA1(), OpRIPEMD160(), OpSHA256(), OpKECCAK256(), OpReverse(), OpHexlify()]
    return draw.choice([*plain, OpAppend(argument), OpPrepend(argument), OpAppend(argument[:1]), OpPrepend(argument[:1])])


def grow(draw, timestamp, depth):
    for _ in range(draw.choice([0, 1, 2])):
        timestamp.attestations.add(random_attestation(draw))
    for _ in range(draw.choice([1, 1, 2, 3]) if depth else 0):
        try:
            grow(draw, timestamp.ops.add(random_operation(draw)), depth - 1)
        except MsgValueError:
            pass
    if not timestamp.attestations and not timestamp.ops:
        timestamp.attestations.add(random_attestation(draw))


def random_proof(draw):
    operation, name = draw.choice([(OpSHA1(), "sha1"), (OpRIPEMD160(), "ripemd160"), (OpSHA256(), "sha256")])
    size = hashlib.new(name).digest_size
    timestamp = Timestamp(draw.randbytes(size))
    grow(draw, timestamp, draw.choice([0, 1, 3, 5]))
    return write(DetachedTimestampFile(operation, timestamp))


def main():
    warnings.simplefilter("ignore")
    command, *arguments = sys.argv[1:]
    if command == "random":
        draw = random.Random(int(arguments[0]))
        for _ in range(int(arguments[1])):
            print(random_proof(draw).hex())
        return
    answer = {"reserialise": reserialise, "messages": messages, "verify": verify}[command]
    for line in sys.stdin:
        print(answer(line.strip()))


if __name__ == "__main__":
    main()
