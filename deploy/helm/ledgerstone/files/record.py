"""Records one decision through the sidecar and fetches its receipt: what `helm test` runs. It knows two addresses.

    python record.py HOST:GRPC_PORT http://HOST:HTTP_PORT REQUEST_JSON FOLDER [CA_PEM [CERT_PEM KEY_PEM]]

Writes FOLDER/receipt.json, and FOLDER/log.policy as the log itself names its keys. MLServer's own gRPC classes are enough.
"""

import json
import ssl
import sys
import urllib.request

import grpc
from mlserver.grpc import dataplane_pb2, dataplane_pb2_grpc


def parameter(value):
    kind = {bool: "bool_param", int: "int64_param", str: "string_param"}[type(value)]
    return dataplane_pb2.InferParameter(**{kind: value})


def connect(target, tls):
    if not tls:
        return grpc.insecure_channel(target)
    authority, *pair = [open(path, "rb").read() for path in tls]
    certificate, key = pair or (None, None)
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(authority, key, certificate))


def context(tls):
    if not tls:
        return None
    checked = ssl.create_default_context(cafile=tls[0])
    if tls[1:]:
        checked.load_cert_chain(*tls[1:])
    return checked


def main():
    target, read_side, request, folder, *tls = sys.argv[1:]
    with open(request) as file:
        asked = json.load(file)
    tensor = dataplane_pb2.ModelInferRequest.InferInputTensor(
        name=asked["tensor"],
        datatype="FP64",
        shape=asked["shape"],
        contents=dataplane_pb2.InferTensorContents(fp64_contents=asked["values"]),
    )
    parameters = {name: parameter(value) for name, value in asked["parameters"].items()}
    message = dataplane_pb2.ModelInferRequest(model_name=asked["model"], inputs=[tensor], parameters=parameters)
    with connect(target, tls) as channel:
        stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
        answer, call = stub.ModelInfer.with_call(message, timeout=30, wait_for_ready=True)
    said = dict(call.initial_metadata()) | dict(call.trailing_metadata() or ())
    decision = said["ledgerstone-decision-id"]
    print(f"decision {decision} is entry {said['ledgerstone-leaf-index']} of {said['ledgerstone-origin']}")
    print(f"the model answered {[output.name for output in answer.outputs]}")
    for name, path in ("receipt.json", f"/receipts/{decision}"), ("log.policy", "/log.policy"):
        with urllib.request.urlopen(read_side + path, timeout=30, context=context(tls)) as found:
            with open(f"{folder}/{name}", "wb") as file:
                file.write(found.read())
    print("fetched the receipt")


if __name__ == "__main__":
    main()
