"""Reading and preparing data: tables, words, padding, and the named data sets."""

from __future__ import annotations

from sunhwan.data.datasets import Dataset, load
from sunhwan.data.indices import Split, decode
from sunhwan.data.padding import Ragged, pad_sequences
from sunhwan.data.table import Table, read_table
from sunhwan.data.words import look_up_words, rank_words, split_words

__all__ = [
    "Dataset",
    "Ragged",
    "Split",
    "Table",
    "decode",
    "load",
    "look_up_words",
    "pad_sequences",
    "rank_words",
    "read_table",
    "split_words",
]
