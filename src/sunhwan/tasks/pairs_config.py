"""The options of a run that learns to write a text of what it reads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from sunhwan.tasks.options import Options

Attention = Literal["none", "multiplicative", "additive"]


class PairsOptions(Options):
    """What every run that learns pairs may be told; None means that it is chosen by the pairs."""

    cell: Literal["lstm", "gru"] | None = Field(None, description="recurrent cell")

    # the scores of `multiplicative` have no bound: of an image, one position soon has all the
    # weight, and no gradient moves it to the things that the words are of
    attention: Attention = Field(
        "additive", description="how what is read is looked at in each step"
    )
    token_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the tokens that are hidden while training"
    )
    vocabulary: int | None = Field(None, ge=3, le=1_000_000, description="most ids of a side")
    embedding: int | None = Field(None, ge=1, le=4096, description="width of an id's vector")
    max_length: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="most tokens of a side; longer pairs are not learnt from",
    )
    own_words: float = Field(
        0.0, ge=0, le=1, description="share of its own words that is fed back in the end"
    )
    own_epochs: int | None = Field(
        None, ge=1, description="epochs over which that share grows from 0"
    )
    width: int = Field(5, ge=1, le=1000, description="beginnings that the search keeps")
    length_penalty: float = Field(0.6, ge=0, le=10, description="above 0 long answers are favoured")
    test: float = Field(0.1, ge=0, lt=1, description="share held out to judge, without test data")

    @field_validator("recurrent_dropout")
    @classmethod
    def _none_in_the_state(cls, rate: float) -> float:
        if rate:
            raise PydanticCustomError("not_here", "must be 0 here, where only `dropout` is known")
        return rate
