"""An ordinary client of a model server: tritonclient, sending every mortgage application. It knows only a port.

    python client.py PORT LOANAPP_CSV MODEL_JSON > answers

Each line is one call and what came of it, to the last bit: the answer's protobuf in hexadecimal, or the error. Run against
the model server and against what stands in front of it, the two outputs must be the same file.
"""

import csv
import json
import sys

import numpy
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

MODEL = "mortgage"


def rows(loanapp, model):
    with open(model) as file:
        columns = json.load(file)["learner"]["feature_names"]
    with open(loanapp) as file:
        for line in csv.DictReader(file):
            cells = [line[column] or "nan" for column in columns]
            yield line["application"], numpy.array([cells], dtype=numpy.float32)


def tensor(values, datatype="FP32"):
    made = triton.InferInput("features", values.shape, datatype)
    made.set_data_from_numpy(values)
    return made


def show(name, call):
    try:
        answer = call()
        said = answer.SerializeToString(deterministic=True).hex() if hasattr(answer, "SerializeToString") else answer
    except InferenceServerException as error:
        said = f"{error.status()} {error.message()!r}"
    print(name, said)


def main():
    port, loanapp, model = sys.argv[1:]
    client = triton.InferenceServerClient(f"127.0.0.1:{port}")
    table = list(rows(loanapp, model))

    show("live", client.is_server_live)
    show("ready", lambda: client.is_model_ready(MODEL))
    show("unready", lambda: client.is_model_ready("nobody"))
    show("server", client.get_server_metadata)
    show("model", lambda: client.get_model_metadata(MODEL))
    show("statistics", client.get_inference_statistics)

    def infer(values, name=MODEL, **more):
        return lambda: client.infer(name, [tensor(values)], **more).get_response()

    for number, row in table:
        show(number, infer(row, request_id=number))
    several = numpy.concatenate([row for _, row in table[:50]])
    show("several", infer(several, request_id="several"))
    show("named", infer(table[0][1], outputs=[triton.InferRequestedOutput("predict")], request_id="named"))
    show("parameters", infer(table[0][1], parameters={"branch": "Boston", "attempt": 2}, request_id="with"))

    show("wrong model", infer(table[0][1], name="nobody", request_id="x"))
    show("wrong output", infer(table[0][1], outputs=[triton.InferRequestedOutput("reason")], request_id="x"))
    show("wrong width", infer(table[0][1][:, 1:], request_id="x"))


if __name__ == "__main__":
    main()
