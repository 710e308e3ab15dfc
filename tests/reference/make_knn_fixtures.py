#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes knn.txt: nearest neighbors and k-NN predictions of implementations that are not ours. Features and labels come from
formulas that the tests use too (tests/eval: neighbors.cpp, knn.cpp), so only outputs are stored.

Needs: pip install torch lightly faiss-cpu scikit-learn (made with lightly 1.6.0, faiss-cpu 1.15.1, scikit-learn 1.9.1)
Usage: python make_knn_fixtures.py

Where the numbers come from
  neighbors     FAISS's flat indices, the 10 nearest of 700 rows for each of 30 queries: "cosine" by inner products of unit
                rows, "l2" by squared distances, of which the roots are stored; "rows" and "values", query by query
  predictions   lightly's knn_predict for weighted votes by cosine, for several k and temperatures; scikit-learn's KNeighborsClassifier in float64 for plain votes, and for votes weighted by
                distance (k, weights, metric): the class of each query
  leave_one_out FAISS's neighbors 2 to 6 of each of the first 40 bank rows among these 40, L2
"""
import pathlib

import faiss
import numpy
import torch
from lightly.utils.benchmarking.knn import knn_predict
from sklearn.neighbors import KNeighborsClassifier

from formulas import chirp

CLASSES, WIDTH, QUERIES, BANK = 12, 24, 30, 700


def labels(count):
    i = torch.arange(count)
    return (i * i + 3 * i) % 7 + (i % 5 == 0) * 5


def rows(count, phase):
    """A center a class, and as much around it; in float32."""
    return (chirp((CLASSES, WIDTH), 0.37, 0.5)[labels(count)] + 1.5 * chirp((count, WIDTH), 0.13, phase)).float()


def main():
    queries, bank = rows(QUERIES, 0.9), rows(BANK, 0.4)
    lines = []

    def write(case, what, values):
        lines.append(" ".join([case, what, *(f"{v:.9g}" for v in numpy.asarray(values).flatten())]))

    def unit(x):
        return torch.nn.functional.normalize(x.double(), dim=1).float()

    flat = faiss.IndexFlatIP(WIDTH)
    flat.add(unit(bank).numpy())
    cosines, found = flat.search(unit(queries).numpy(), 10)
    write("cosine", "rows", found)
    write("cosine", "values", cosines)
    flat = faiss.IndexFlatL2(WIDTH)
    flat.add(bank.numpy())
    squares, found = flat.search(queries.numpy(), 10)
    write("l2", "rows", found)
    write("l2", "values", numpy.sqrt(squares))
    flat = faiss.IndexFlatL2(WIDTH)
    flat.add(bank[:40].numpy())
    squares, found = flat.search(bank[:40].numpy(), 6)
    assert (found[:, 0] == numpy.arange(40)).all()
    write("leave_one_out", "rows", found[:, 1:])
    write("leave_one_out", "values", numpy.sqrt(squares[:, 1:]))

    for k, temperature in ((1, 0.1), (10, 0.1), (20, 0.07), (200, 0.1), (200, 0.5)):
        ranking = knn_predict(unit(queries).double(), unit(bank).double().T, labels(BANK), CLASSES, k, temperature)
        write(f"lightly_{k}_{temperature}", "classes", ranking[:, :1])
    for k in (5, 20):
        for weights in ("uniform", "distance"):
            for metric in ("l2", "cosine"):
                if (weights, metric) == ("distance", "cosine"):
                    continue
                a, b = (unit(bank).double(), unit(queries).double()) if metric == "cosine" else (bank.double(), queries.double())
                model = KNeighborsClassifier(k, weights=weights, algorithm="brute").fit(a.numpy(), labels(BANK).numpy())
                write(f"sklearn_{k}_{weights}_{metric}", "classes", model.predict(b.numpy()))
    (pathlib.Path(__file__).parent / "knn.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
