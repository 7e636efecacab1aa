"""Contents of ``results.json`` as evaluation writes them, one of each task."""

from __future__ import annotations

from typing import Any

import numpy as np

REVIEW = (
    "I went in expecting very little, and for the first twenty minutes that is what I got: a slow "
    "pan over the harbour, a detective who mumbles, a score that never stops. But the film is not "
    "bad at all. It is funny where you do not expect it, and the last half hour is "
    "wonderful<br />. "
)


def classify(classes: int = 2) -> dict[str, Any]:
    """Reviews (2 classes) or news (more) with a network that beats its baselines."""
    random = np.random.default_rng(classes)
    names = ["negative", "positive"] if classes == 2 else [f"topic-{k}" for k in range(classes)]
    confusion = random.poisson(2 if classes > 2 else 1400, size=(classes, classes))
    confusion += np.diag(random.integers(30, 900, classes) if classes > 2 else [11043, 11121])
    words = REVIEW.replace("<br />", "").lower().replace(",", "").replace(".", "").split()
    influence = random.normal(0, 0.04, len(words))
    for word, value in (("wonderful", -0.9), ("bad", 0.7), ("slow", 0.4), ("funny", -0.6)):
        influence[words.index(word)] = value
    errors = [
        {"place": "reviews.csv, line 1204", "text": REVIEW, "true": names[1],
         "predicted": names[0], "probability": 0.987, "words": words,
         "influence": influence.tolist()},
        {"place": "reviews.csv, line 88", "text": f"{'so so. ' * 200}{REVIEW}{'and on. ' * 200}",
         "true": names[1], "predicted": names[0], "probability": 0.94, "words": words,
         "influence": influence.tolist()},
        {"place": "리뷰.csv, 31행", "text": "배우들은 훌륭한데 이야기가 너무 지루하다. 다 봤다.",
         "true": names[0], "predicted": names[1], "probability": 0.91,
         "words": ["배우들은", "훌륭한데", "이야기가", "너무", "지루하다", "다", "봤다"],
         "influence": [0.1, 0.8, 0.02, -0.1, -0.7, 0.15, 0.05]},
    ]  # fmt: skip
    return {
        "format": 1, "task": "classify", "kind": "text", "title": "Film reviews",
        "data": {
            "train": 20000, "validation": 5000, "test": 25000,
            "rejected": [
                {"place": "reviews.csv, line 17", "reason": "the text is empty"},
                {"place": "reviews.csv, line 4021", "reason": "2 columns, expected 3"},
            ],
            "columns": {"text": "review", "label": "sentiment"},
            "files": [{"name": "reviews.csv", "sha256": "5f4dcc3b" * 8}],
            "notes": ["Words: 20,000 in the vocabulary, 1.8 % of the test words are unknown."],
            "lengths": {"median": 174, "p95": 598, "longest": 2470},
        },
        "model": {
            "layers": [
                {"name": "embedding", "type": "Embedding", "output": [None, None, 64],
                 "parameters": 1280000},
                {"name": "lstm", "type": "LSTM", "output": [None, 64], "parameters": 33024},
                {"name": "answer", "type": "Dense", "output": [None, classes],
                 "parameters": 65 * classes},
            ],
            "parameters": 1313024 + 65 * classes,
            "kernels": ["embedding (Embedding): fused avx512", "lstm (LSTM): fused avx512"],
        },
        "history": {
            "loss": [0.61, 0.38, 0.27, 0.2, 0.15], "val_loss": [0.45, 0.33, 0.3, 0.31, 0.36],
            "accuracy": [0.66, 0.84, 0.89, 0.93, 0.95],
            "val_accuracy": [0.8, 0.862, 0.881, 0.883, 0.874],
            "learning_rate": [0.001] * 5,
        },
        "best_epoch": 3, "seconds": 192.4,
        "metrics": {"accuracy": 0.8866, "macro_f1": 0.8864, "log_loss": 0.2914},
        "intervals": {"accuracy": [0.8826, 0.8905]},
        "baselines": [
            {"name": "majority class", "metrics": {"accuracy": 0.5, "macro_f1": 0.3333,
             "log_loss": 0.6931}, "intervals": {"accuracy": [0.4938, 0.5062]}, "seconds": 0.01},
            {"name": "n-gram logistic regression", "metrics": {"accuracy": 0.8781,
             "macro_f1": 0.878, "log_loss": 0.3107}, "intervals": {"accuracy": [0.874, 0.8821]},
             "difference": {"accuracy": {"value": 0.0085, "interval": [0.0048, 0.0122],
                                         "p": 5.1e-06, "test": "McNemar"}},
             "seconds": 14.2},
            {"name": "feed-forward net", "detail": "last 500 words, 4 epochs",
             "metrics": {"accuracy": 0.8412, "log_loss": None},
             "intervals": {"accuracy": [0.8366, 0.8457]}, "seconds": 21.7},
        ],
        "classes": names, "confusion": confusion.tolist(),
        "calibration": {
            "confidence": [0.55, 0.65, 0.75, 0.85, 0.96], "accuracy": [0.53, 0.6, 0.71, 0.8, 0.95],
            "count": [1411, 1502, 1894, 2977, 17216], "ece": 0.0213,
        },
        "errors": errors,
        "by_length": {"edges": [1, 50, 100, 200, 400, 2471],
                      "error": [0.14, 0.12, 0.1, 0.11, None], "count": [612, 3120, 9980, 8120, 0]},
        "command": "sunhwan train classify reviews.csv --text review --label sentiment --out run",
        "config": {"cell": "lstm", "units": 64, "epochs": 20, "seed": 1, "text": {"max": 20000}},
        "environment": {"python": "3.11.9", "keras": "3.15.1", "cpu": "a processor", "cores": 4,
                        "os": "Linux x86_64"},
    }  # fmt: skip


def tag() -> dict[str, Any]:
    """Parts of speech of a Korean treebank; the Markov chain is as good within chance."""
    tags = ["NOUN", "VERB", "ADV", "ADJ", "ADP", "PUNCT", "CCONJ", "NUM", "X"]
    support = [11038, 4210, 2873, 1204, 911, 3011, 402, 377, 3]
    results = classify()
    for key in ("classes", "confusion", "calibration"):
        del results[key]
    return results | {
        "task": "tag", "kind": "tokens", "title": "한국어 품사 태깅",
        "metrics": {"accuracy": 0.9011, "macro_f1": 0.811},
        "intervals": {"accuracy": [0.8962, 0.906]},
        "baselines": [{"name": "Markov chain", "metrics": {"accuracy": 0.8987},
                       "intervals": {"accuracy": [0.8938, 0.9036]}, "seconds": 2.0}],
        "by_tag": [{"tag": name, "precision": 0.97 - 0.03 * k, "recall": 0.96 - 0.04 * k,
                    "f1": 0.965 - 0.035 * k if k < 8 else None, "support": support[k]}
                   for k, name in enumerate(tags)],
        "errors": [{"place": "ko_kaist-ud-test.conllu, line 811",
                    "tokens": ["그는", "배를", "타고", "바다로", "나갔다", "."],
                    "true": ["NOUN", "NOUN", "VERB", "NOUN", "VERB", "PUNCT"],
                    "predicted": ["NOUN", "VERB", "VERB", "ADV", "VERB", "PUNCT"]}],
    }  # fmt: skip


def regress() -> dict[str, Any]:
    """Numbers for sequences, worse than a linear baseline."""
    random = np.random.default_rng(3)
    wanted = random.gamma(4, 12, 2000)
    predicted = 8 + 0.8 * wanted + random.normal(0, 9, 2000)
    results = classify()
    for key in ("classes", "confusion", "calibration"):
        del results[key]
    worst = np.argsort(-abs(wanted - predicted))[:4]
    return results | {
        "task": "regress", "kind": "numbers", "title": "Wear of a bearing",
        "metrics": {"mae": 8.113, "rmse": 10.42, "r2": 0.8122},
        "intervals": {"mae": [7.84, 8.39]},
        "baselines": [
            {"name": "training mean", "metrics": {"mae": 18.3, "rmse": 24.01, "r2": 0.0},
             "intervals": {"mae": [17.7, 19.0]}, "seconds": 0.0},
            {"name": "ridge regression on lags",
             "metrics": {"mae": 7.402, "rmse": 9.31, "r2": 0.8502},
             "intervals": {"mae": [7.15, 7.66]}, "seconds": 0.4},
        ],
        "history": {"loss": [300.0, 40.0, 9.0, None], "val_loss": [250.0, 44.0, 21.0, None],
                    "mae": [14.0, 7.0, 2.4, None], "learning_rate": [1e-3, 1e-3, 5e-4, 2.5e-4]},
        "points": {"wanted": wanted.tolist(), "predicted": predicted.tolist()},
        "errors": [{"place": f"bearing.csv, rows {64 * i} to {64 * i + 63}",
                    "true": float(wanted[i]), "predicted": float(predicted[i])} for i in worst],
        "by_length": {"edges": [10, 20, 40, 80, None], "error": [11.0, 8.2, 7.7, 9.4],
                      "count": [212, 801, 788, 199]},
    }  # fmt: skip


def forecast() -> dict[str, Any]:
    """Monthly passengers and a random series, with a positive skill."""
    random = np.random.default_rng(4)
    months = np.arange(156)
    passengers = (120 + 2.4 * months) * (1 + 0.2 * np.sin(months * np.pi / 6))
    walk = np.cumsum(random.normal(0, 1, 156))
    shown = []
    for series, values in (("passengers", passengers), ("실내 온도", walk)):
        truth = values[144:]
        median = truth + random.normal(0, 0.03 * values.std() + 0.2, 12)
        spread = values.std() * 0.08 * np.sqrt(np.arange(1, 13))
        past = [[f"{1949 + k // 12}-{k % 12 + 1:02}", float(v)] for k, v in
                enumerate(values[:144])]  # fmt: skip
        shown.append({
            "series": series, "past": past, "truth": truth.tolist(), "median": median.tolist(),
            "low": (median - 1.96 * spread).tolist(), "high": (median + 1.96 * spread).tolist(),
            "low_80": (median - 1.28 * spread).tolist(),
            "high_80": (median + 1.28 * spread).tolist(), "naive": values[132:144].tolist(),
        })  # fmt: skip
    results = classify()
    for key in ("classes", "confusion", "calibration", "errors", "by_length"):
        del results[key]
    return results | {
        "task": "forecast", "kind": "series", "title": "Passengers of an airline",
        "metrics": {"mae": 14.21, "rmse": 18.8, "mase": 0.71, "skill": 0.412,
                    "skill_by_step": [0.62, 0.6, 0.55, 0.5, 0.47, 0.41, None, 0.36, 0.3, 0.2,
                                      0.08, -0.05]},
        "intervals": {"mae": [11.0, 17.9]},
        "baselines": [
            {"name": "seasonal-naive", "metrics": {"mae": 24.17, "rmse": 29.4, "mase": 1.2},
             "intervals": {"mae": [16.3, 32.2]}, "seconds": 0.0,
             "difference": {"mae": {"value": -9.96, "interval": [-14.1, -5.2], "p": 0.001,
                                    "test": "permutation"}}},
            {"name": "naive", "metrics": {"mae": 51.02, "rmse": 63.2, "mase": 2.5},
             "intervals": {"mae": [42.0, 60.8]}, "seconds": 0.0},
        ],
        "forecasts": shown,
    }  # fmt: skip


CASES = {
    "classify": classify,
    "classify-46": lambda: classify(46),
    "tag": tag,
    "regress": regress,
    "forecast": forecast,
}
