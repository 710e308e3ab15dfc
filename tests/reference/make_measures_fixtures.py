#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes measures.txt: label-free measures of features, by numpy and scikit-learn on their definitions. Inputs come from
formulas that the tests use too (tests/eval: spectrum, uniformity, cka, lidar, pca, tsne), so only outputs are stored.

Needs: pip install torch numpy scipy scikit-learn (made with torch 2.11.0, numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1)
Usage: python make_measures_fixtures.py

Where the numbers come from
  spectrum    numpy.linalg.svd of the rows; numpy.linalg.eigvalsh of numpy.cov; the slope by numpy.polyfit with weights
  uniformity  scipy.spatial.distance.pdist of the unit rows; alignment by its definition
  cka         the definition with centering matrices H K H; debiased: U-centered kernels, entry by entry
  lidar       the definition with scipy.linalg.fractional_matrix_power(·, −½)
  pca         sklearn.decomposition.PCA(svd_solver="full")
  tsne        sklearn.manifold._t_sne._joint_probabilities (perplexity 8), _kl_divergence, and TSNE(method="exact",
              init="pca"): its divergence

All in float64. Each line: measure, what, numbers.
"""
import pathlib

import numpy as np
from scipy.linalg import fractional_matrix_power
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.manifold import _t_sne

from formulas import chirp

HERE = pathlib.Path(__file__).parent


def features(n, d, a, b):
    """Features whose dimensions differ in spread, with a mean that is not 0."""
    return chirp((n, d), a, b).numpy() * np.arange(1, d + 1) ** -0.7 + 0.3


def groups():
    """Sixty points in three groups: the first 20 rows are one, and so on."""
    x = chirp((60, 10), 0.31, 0.2).numpy()
    for group, dimension in enumerate((0, 3, 7)):
        x[20 * group:20 * group + 20, dimension] += 6
    return x


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def count(values):
    p = values[values > 1e-13 * values.max()] / values.sum()
    return np.exp(-(p * np.log(p)).sum())


def spectrum(x):
    sigma = np.linalg.svd(x, compute_uv=False)
    variances = np.linalg.eigvalsh(np.cov(x.T))[::-1][:min(x.shape)]
    ranks = np.arange(4, min(100, (variances > 1e-13).sum()) + 1)
    slope = np.polyfit(np.log(ranks), np.log(variances[ranks - 1]), 1, w=ranks ** -0.5)[0]  # polyfit squares weights
    shares = np.cumsum(variances) / variances.sum()
    return {"singular": sigma, "variances": variances.clip(0), "rank": [count(sigma)], "decay": [-slope], "shares": shares[:5],
            "components": [np.searchsorted(shares, 0.9) + 1]}


def cka(x, y):
    n = len(x)
    h = np.eye(n) - 1 / n
    k, l = h @ (x @ x.T) @ h, h @ (y @ y.T) @ h
    return (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())


def u_centered(x):
    k = x @ x.T
    np.fill_diagonal(k, 0)
    n, rows = len(k), k.sum(1)
    k = k - rows[:, None] / (n - 2) - rows[None] / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(k, 0)
    return k


def debiased_cka(x, y):
    k, l = u_centered(x), u_centered(y)
    return (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())


def lidar(x, views, delta):
    z = x.reshape(-1, views, x.shape[1])
    means = z.mean(1)
    between = np.cov(means.T, bias=True)
    apart = (z - means[:, None]).reshape(-1, x.shape[1])
    root = fractional_matrix_power(apart.T @ apart / len(apart) + delta * np.eye(x.shape[1]), -0.5)
    return count(np.linalg.eigvalsh(root @ between @ root).clip(0))


def lines():
    tall, wide = features(120, 12, 0.13, 0.9), features(9, 14, 0.13, 0.9)
    for name, x in (("tall", tall), ("wide", wide)):
        for what, values in spectrum(x).items():
            yield f"spectrum {name}_{what}", values

    other = features(120, 12, 0.29, 0.4)
    for t in (2, 0.5):
        yield f"uniformity t{t}", [np.log(np.exp(-t * pdist(unit(tall)) ** 2).mean())]
    for power in (2, 1):
        yield f"alignment power{power}", [(np.linalg.norm(unit(tall) - unit(other), axis=1) ** power).mean()]

    for name, x, y in (("far", tall, features(120, 7, 0.29, 0.4)), ("near", tall, np.tanh(2 * tall)[:, :9]),
                       ("wide", wide, features(9, 20, 0.29, 0.4))):
        yield f"cka {name}", [cka(x, y)]
        yield f"cka {name}_debiased", [debiased_cka(x, y)]

    for views, delta in ((4, 1e-4), (3, 0.1)):
        yield f"lidar {views}_{delta}", [lidar(tall, views, delta)]
    yield "lidar wide", [lidar(wide[:8], 2, 0.01)]

    for name, x in (("tall", tall), ("wide", wide)):
        pca = PCA(3, svd_solver="full").fit(x)
        yield f"pca {name}_components", pca.components_.flatten()
        yield f"pca {name}_variances", pca.explained_variance_
        yield f"pca {name}_share", [pca.explained_variance_ratio_.sum()]
        yield f"pca {name}_projected", pca.transform(x[:4]).flatten()

    x = groups()
    p = _t_sne._joint_probabilities(squareform(pdist(x)).astype(np.float32) ** 2, 8, 0)
    y = chirp((60, 2), 0.17, 0.6).numpy() * 3
    divergence, gradient = _t_sne._kl_divergence(y.ravel(), p, 1, 60, 2)
    yield "tsne affinities", squareform(p)[:2].flatten()
    yield "tsne divergence", [divergence]
    yield "tsne gradient", gradient
    yield "tsne reached", [TSNE(method="exact", init="pca", perplexity=8, random_state=0, max_iter=1000).fit(x).kl_divergence_]


with open(HERE / "measures.txt", "w") as out:
    for what, values in lines():
        print(what, " ".join(f"{v:.15g}" for v in np.asarray(values, float)), file=out)
