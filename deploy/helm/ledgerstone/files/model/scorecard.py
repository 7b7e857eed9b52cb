"""A scorecard as an MLServer runtime: the example's model. Points by the rules of docs/spec/scorecard.md, in their order."""

import json
import math

import numpy
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


def points(term, value):
    if math.isnan(value):
        return float(term["missing"])
    if "bins" in term:
        return float(next(bin["points"] for bin in term["bins"] if value < bin.get("below", math.inf)))
    if "values" in term:
        return float(next((row["points"] for row in term["values"] if row["value"] == value), term["other"]))
    return term["coefficient"] * ((value - term.get("center", 0.0)) / term.get("scale", 1.0))


class Scorecard(MLModel):
    async def load(self) -> bool:
        with open(await get_model_uri(self.settings)) as file:
            self.card = json.load(file)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        scores = []
        for row in rows:
            score = float(self.card["base"])
            for term, value in zip(self.card["terms"], row, strict=True):
                score += points(term, float(value))
            scores.append([score])
        output = NumpyCodec.encode_output("score", numpy.array(scores, dtype=numpy.float64))
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])
