"""Writes the golden vectors of audit statistics: `python3 audit_vectors.py > verifier/tests/vectors/audit.json`.

Plain Python 3.11, standard library only. Chances are sums of exact fractions (or, for the upper bound of a rate, of integers over a power
of ten), so every number is right, and the same on every machine.
"""

import json
from fractions import Fraction
from math import comb, floor

WHOLE = 10**9


def percent(billionths):
    """A rate as the command line writes it."""
    digits = f"{billionths % 10**7:07d}".rstrip("0")
    return f"{billionths // 10**7}" + (f".{digits}" if digits else "") + "%"


def binomial_at_most(k, n, p, risk):
    """Whether at most k exceptions among n draws at rate p have a chance of at most `risk`; both in billionths."""
    total = sum(comb(n, i) * p**i * (WHOLE - p) ** (n - i) for i in range(k + 1))
    return total * WHOLE <= risk * WHOLE**n


def hypergeometric_at_most(k, n, bad, population, risk):
    """The same for n draws without replacement from a population with `bad` exceptions."""
    total = sum(comb(bad, i) * comb(population - bad, n - i) for i in range(max(0, n + bad - population), k + 1))
    return total * WHOLE <= risk * comb(population, n)


def least(low, high, enough):
    """The least number from low to high that is enough."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def intolerable(p, population):
    return -(-p * population // WHOLE)


def size(p, confidence, population, k):
    risk = WHOLE - confidence
    if population is None:
        return least(k + 1, 6000, lambda n: binomial_at_most(k, n, p, risk))
    bad = intolerable(p, population)
    return least(k + 1, population, lambda n: hypergeometric_at_most(k, n, bad, population, risk))


def bound(n, k, population, confidence):
    """The upper bound: a rate in billionths, rounded up, or a count."""
    risk = WHOLE - confidence
    if population is None:
        return least(0, WHOLE, lambda p: k < n and binomial_at_most(k, n, p, risk)) if k < n else WHOLE
    most = population - (n - k)
    refuted = least(k + 1, most + 1, lambda bad: bad > most or hypergeometric_at_most(k, n, bad, population, risk))
    return refuted - 1


def evidence(n, k, population, p0, p1):
    """The sequential test's evidence as a fraction; None where it is without end."""
    if population is None:
        return Fraction(WHOLE - p1, WHOLE - p0) ** (n - k) * Fraction(p1, p0) ** k
    bad0, bad1 = intolerable(p0, population), p1 * population // WHOLE
    chance = lambda bad: comb(population - n, bad - k) if 0 <= bad - k else 0  # of a certain sequence of draws, times a constant
    # An urn with `bad` exceptions gives one certain sequence with chance C(N - n, bad - k) / C(N, bad).
    numerator = Fraction(chance(bad1), comb(population, bad1))
    denominator = Fraction(chance(bad0), comb(population, bad0))
    return None if denominator == 0 and numerator > 0 else Fraction(0) if numerator == 0 else numerator / denominator


def main():
    tenth = WHOLE // 1000  # 0.1 %
    sizes, bounds, tests = [], [], []
    for p in (100, 50, 20, 10, 5, 1):
        for confidence in (900, 950, 990):
            sizes.append((p * tenth, confidence * tenth, None, 0))
    for p, ks in ((50, (1, 2, 3, 10)), (10, (1, 2, 3, 10)), (333, (0, 1, 5))):
        sizes += [(p * tenth, 950 * tenth, None, k) for k in ks]
    for population in (1, 2, 10, 100, 500, 1000, 10_000, 100_000):
        sizes.append((10 * tenth, 950 * tenth, population, 0))
    sizes += [(50 * tenth, 990 * tenth, population, 2) for population in (100, 101, 777, 5000)]
    for n, k in ((300, 0), (300, 1), (300, 2), (300, 3), (1, 0), (1, 1), (59, 0), (93, 1), (300, 299), (300, 300), (1000, 40)):
        bounds.append((n, k, None, 950 * tenth))
    for n, k, population in ((258, 0, 1000), (300, 2, 10_000), (10, 10, 10), (10, 0, 10), (9, 1, 10), (50, 49, 60), (225, 0, 500), (200, 7, 300)):
        bounds.append((n, k, population, 950 * tenth))
    for n, k, population, p0, p1 in (
        (299, 0, None, 10, 0), (298, 0, None, 10, 0), (331, 0, None, 10, 1), (332, 0, None, 10, 1), (600, 1, None, 10, 1), (10, 1, None, 10, 0),
        (257, 0, 1000, 10, 0), (258, 0, 1000, 10, 0), (400, 1, 1000, 10, 2), (400, 3, 1000, 10, 2), (995, 0, 1000, 10, 1), (87, 0, None, 50, 5),
    ):
        tests.append((n, k, population, p0 * tenth, p1 * tenth, 950 * tenth))
    rows = {
        "sizes": [
            {"tolerable": percent(p), "confidence": percent(c), "population": n, "allowed": k, "decisions": size(p, c, n, k)}
            for p, c, n, k in sizes
        ],
        "bounds": [
            {"sample": n, "exceptions": k, "population": population, "confidence": percent(c), "bound": bound(n, k, population, c)}
            for n, k, population, c in bounds
        ],
        "evidence": [],
    }
    for n, k, population, p0, p1, c in tests:
        found = evidence(n, k, population, p0, p1)
        rows["evidence"].append({
            "sample": n, "exceptions": k, "population": population, "tolerable": percent(p0), "expected": percent(p1), "confidence": percent(c),
            "thousandths": None if found is None else floor(found * 1000),
            "enough": found is None or found * (WHOLE - c) >= WHOLE,
        })
    print(json.dumps(rows, indent=1))


main()
