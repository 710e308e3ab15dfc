# SPDX-License-Identifier: Apache-2.0
"""Makes tests/reference/logistic.txt: what scikit-learn's LogisticRegression finds, run to convergence in float64. Needs
numpy and scikit-learn (1.9.1, with scipy, joblib, threadpoolctl and narwhals), and for the lines `real` the folder
fashion-mnist in DOPPEL_TEST_DATA.

    python3 tests/reference/make_logistic_fixtures.py

formula STANDARDIZED STRENGTH CLASS v...    probabilities of CLASS for the first 8 of 200 test rows
formula STANDARDIZED STRENGTH all top1 loss of the test rows, 0 to 1; training loss with penalty, mean over the rows
real STANDARDIZED STRENGTH all top1 loss    the same for Fashion-MNIST: pixels / 255, means of 2 x 2, the first 2,000
                                            training and the first 5,000 test images; STRENGTH `chosen`: the one of 9 values
                                            with the best accuracy on a tenth held out, stratified, then fitted to all

STRENGTH is L2 over the mean loss: scikit-learn's C is 1 / (STRENGTH · rows). The rows `formula`: 12 features of 4 classes,
one of them constant, one a copy of another, of different offsets and deviations.
"""
import gzip
import os
import pathlib

import numpy
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit


def noise(count, stream):
    """`count` numbers in [-1, 1): a multiplicative hash of (place, stream) in 32 bits."""
    h = (numpy.arange(count, dtype=numpy.int64) * 2654435761 + (stream + 1) * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 73244475) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 73244475) & 0xFFFFFFFF
    h = h ^ (h >> 16)
    return h.astype(numpy.float64) / 2**31 - 1


def by_formula(count, stream):
    labels = numpy.array([0, 0, 0, 1, 1, 2, 3])[numpy.arange(count) % 7]
    rows = noise(count * 12, stream).reshape(count, 12) + 0.4 * noise(4 * 12, 100).reshape(4, 12)[labels]
    rows = rows * 3.0 ** (numpy.arange(12) % 3 - 1) + numpy.arange(12)
    rows[:, 4] = 2.5
    rows[:, 7] = rows[:, 2]
    return rows, labels


def real(folder, start, count):
    with gzip.open(folder / f"{start}-images-idx3-ubyte.gz") as file:
        pixels = numpy.frombuffer(file.read()[16:16 + count * 784], numpy.uint8).reshape(count, 14, 2, 14, 2) / 255.0
    with gzip.open(folder / f"{start}-labels-idx1-ubyte.gz") as file:
        return pixels.mean((2, 4)).reshape(count, 196), numpy.frombuffer(file.read()[8:8 + count], numpy.uint8).astype(numpy.int64)


def fit(rows, labels, strength, tolerance):
    return LogisticRegression(C=1 / (strength * len(rows)), tol=tolerance, max_iter=100_000).fit(rows, labels)


def lines_of(name, train, test, strengths, tolerance):
    (rows, labels), (test_rows, test_labels) = train, test
    for standardized in (1, 0):
        mean, deviation = rows.mean(0), rows.std(0)
        scale = numpy.where(deviation > 0, deviation, 1) if standardized else 1
        a, b = (rows - mean) / scale, (test_rows - mean) / scale
        for strength in strengths:
            chosen = strength
            if strength == "chosen":
                first, held = next(StratifiedShuffleSplit(1, test_size=0.1, random_state=0).split(a, labels))
                scores = {s: fit(a[first], labels[first], s, 1e-5).score(a[held], labels[held])
                          for s in (1, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4)}
                chosen = max(scores, key=scores.get)
                print(name, standardized, scores, chosen)
            net = fit(a, labels, chosen, tolerance)
            own = net.predict_log_proba(a)[numpy.arange(len(labels)), labels]
            loss = -own.mean() + chosen / 2 * (net.coef_ ** 2).sum()
            yield (name, str(standardized), str(strength), "all", net.score(b, test_labels), loss)
            if name == "formula":
                for c, values in enumerate(net.predict_proba(b)[:8].T):
                    yield (name, str(standardized), str(strength), str(c), *values.tolist())


def main():
    folder = pathlib.Path(__file__).resolve().parent
    lines = list(lines_of("formula", by_formula(300, 1), by_formula(200, 2), (1.0, 0.01, 0.0001), 1e-10))
    images = pathlib.Path(os.environ["DOPPEL_TEST_DATA"]) / "fashion-mnist"
    lines += lines_of("real", real(images, "train", 2000), real(images, "t10k", 5000), (0.1, 0.001, "chosen"), 1e-7)
    text = [" ".join(w if isinstance(w, str) else f"{w:.10g}" for w in words) for words in lines]
    (folder / "logistic.txt").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
