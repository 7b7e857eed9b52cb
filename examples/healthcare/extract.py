"""Writes data/breast_cancer.csv from the data set that scikit-learn brings along.

Run it with the packages of requirements.txt:  python extract.py [--check]
With --check nothing is written: the run fails when the file would differ from the committed one.
"""

import pathlib
import sys

from sklearn.datasets import load_breast_cancer

HERE = pathlib.Path(__file__).parent


def build():
    source = load_breast_cancer()
    names = [name.replace(" ", "_") for name in source.feature_names]
    lines = [",".join(["case", "diagnosis", *names])]
    for number, (row, target) in enumerate(zip(source.data, source.target, strict=True), start=1):
        # repr gives the shortest digits that read back as the same 64-bit float.
        lines.append(",".join([str(number), source.target_names[target], *(repr(float(value)) for value in row)]))
    return ("\n".join(lines) + "\n").encode()


def main():
    path = HERE / "data" / "breast_cancer.csv"
    content = build()
    if "--check" not in sys.argv[1:]:
        path.write_bytes(content)
        print(f"wrote {path.relative_to(HERE)}, {len(content):,} bytes")
    elif path.read_bytes() != content:
        sys.exit(f"DIFFERS  {path.relative_to(HERE)}")
    else:
        print(f"same  {path.relative_to(HERE)}")


if __name__ == "__main__":
    main()
