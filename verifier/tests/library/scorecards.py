"""A second implementation of docs/spec/scorecard.md, and cards made from real tables.

    python scorecards.py OUT_DIR

Each card becomes NAME.json and NAME.bits (see tables.py). The linear card is a logistic regression of scikit-learn, whose own sums have another
order: it must agree to 1e-9.
"""

import json
import math
import pathlib
import sys

import numpy
import sklearn.impute
import sklearn.linear_model
import sklearn.preprocessing
import tables


def points(term, value):
    if math.isnan(value):
        return term["missing"]
    if "bins" in term:
        return next(bin["points"] for bin in term["bins"] if "below" not in bin or value < bin["below"])
    if "values" in term:
        return next((known["points"] for known in term["values"] if known["value"] == value), term.get("other"))
    return term["coefficient"] * ((value - term.get("center", 0.0)) / term.get("scale", 1.0))


def score(card, row):
    parts = [points(term, float(value)) for term, value in zip(card["terms"], row)]
    total = float(card["base"])
    for part in parts:
        total += part
    answer = 1.0 / (1.0 + math.exp(-total)) if card["link"] == "logistic" else total
    return total, answer, [*parts, card["base"]]


def write(directory, name, terms, x, link="identity", base=0.0, adverse="low"):
    path = directory / f"scorecard_{name}.json"
    card = {"format": "ledgerstone-scorecard/v1", "name": name, "adverse": adverse, "link": link, "base": base, "terms": terms}
    path.write_text(json.dumps(card, indent=1))
    written = json.loads(path.read_text())
    margins, answers, parts = zip(*(score(written, row) for row in x))
    tables.write_bits(path.with_suffix(".bits"), "<f8", x, margins, answers, parts)
    return numpy.array(margins)


def linear(directory):
    x, bad, _ = tables.credit()
    means = numpy.nanmean(x, axis=0)
    filled = numpy.where(numpy.isnan(x), means, x)
    scaler = sklearn.preprocessing.StandardScaler().fit(filled)
    model = sklearn.linear_model.LogisticRegression(max_iter=2000).fit(scaler.transform(filled), bad)
    terms = [
        {"feature": f"x{column}", "coefficient": weight, "center": center, "scale": scale, "missing": weight * ((mean - center) / scale)}
        for column, (weight, center, scale, mean) in enumerate(zip(model.coef_[0], scaler.mean_, scaler.scale_, means))
    ]
    margins = write(directory, "credit_logistic", terms, x, "logistic", model.intercept_[0], "high")
    theirs = model.decision_function(scaler.transform(filled))
    assert abs(margins - theirs).max() < 1e-9, abs(margins - theirs).max()


def points_card(directory):
    x, categorical, bad = tables.credit_codes()
    terms = []
    for column, is_category in enumerate(categorical):
        values = x[:, column]
        reason = {"code": f"R{column}", "text": f"Feature {column}"}
        woe = lambda rows: round(20 * math.log((1 + (bad[rows] == 0).sum()) / (1 + (bad[rows] == 1).sum())), 3)
        term = {"feature": f"x{column}", "missing": woe(numpy.isnan(values)), "reason": reason}
        if is_category:
            codes = numpy.unique(values[~numpy.isnan(values)])
            term["values"] = [{"value": code, "points": woe(values == code)} for code in codes[:-1]]
            term["other"] = woe(values == codes[-1])
        else:
            edges = sorted(set(numpy.nanquantile(values, [0.1, 0.3, 0.5, 0.7, 0.9])))
            bounds = [-math.inf, *edges, math.inf]
            term["bins"] = [
                {**({"below": high} if high < math.inf else {}), "points": woe((values >= low) & (values < high))}
                for low, high in zip(bounds, bounds[1:])
            ]
        terms.append(term)
    write(directory, "credit_points", terms, x, base=412.3)


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    linear(directory)
    points_card(directory)


if __name__ == "__main__":
    main()
