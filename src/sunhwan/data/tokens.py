"""Text encoders: texts to ids of words, characters, sub-words, jamo or morphemes, and back.

Every text is brought to Unicode NFC first, so that it does not matter how its accents or Hangul
were stored. Id 0 is padding, 1 is unknown, and 2 is the first of the tokens that were learnt.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.data.drawing import draw_part
from sunhwan.data.korean import join_jamo, split_jamo, split_morphemes, split_words, to_nfc
from sunhwan.data.number_encoder import check_choice, check_number
from sunhwan.data.spool import Spool
from sunhwan.data.subwords import ALGORITHMS, SPACE, Pieces, check_pieces, check_tokens
from sunhwan.errors import DataError, UsageError

PADDING, UNKNOWN, _FIRST = 0, 1, 2
#: what `decode` writes for an unknown token
UNKNOWN_MARK = "\N{REPLACEMENT CHARACTER}"

#: the largest vocabulary or length
_MOST = 1_000_000
#: `guess_max_length` cuts at most the rest of this share of the texts, but all above this length
_COVERED, _LONGEST = 0.99, 1000


class TextEncoder:
    """What all text encoders share; see `sunhwan.data.examples.Encoder`.

    Parameters
    ----------
    vocabulary_size
        The most ids, 0 and 1 included, at least 4: the most frequent tokens get one.
    max_length
        Longer texts are cut to this many tokens; None cuts nothing.
    lowercase
        Whether upper and lower case are the same.
    keep
        Which part of a text that is cut stays: its ``start`` or its ``end``.
    min_count
        Tokens that occur less often are not learnt.

    Attributes
    ----------
    tokens
        What was learnt; number ``n`` has id ``n + 2``.
    """

    name: str = ""
    #: the plural of what a text is split into
    unit: str = ""
    features: int = 0
    _options: tuple[str, ...] = ("vocabulary_size", "max_length", "lowercase", "keep", "min_count")

    def __init__(
        self,
        vocabulary_size: int = 20_000,
        max_length: int | None = None,
        lowercase: bool = True,
        *,
        keep: Literal["start", "end"] = "start",
        min_count: int = 1,
    ) -> None:
        whole = partial(check_number, high=_MOST, whole=True)
        self.vocabulary_size = whole("vocabulary_size", vocabulary_size, 4)
        self.max_length = None if max_length is None else whole("max_length", max_length, 1)
        self.lowercase = check_choice("lowercase", lowercase, (True, False))
        self.keep = check_choice("keep", keep, ("start", "end"))
        self.min_count = whole("min_count", min_count, 1)
        self.vocabulary = _FIRST
        self.tokens: list[str] = []
        self._ids: dict[str, int] = {}
        self._learnt_from = (0, 0)

    def fit(self, inputs: Sequence[str]) -> Self:
        """Learn the tokens of training texts, of very many of a random part; returns itself.

        Raises
        ------
        DataError
            No text holds a token that occurs often enough, or one is no text.
        """
        part = draw_part(inputs)
        self._learn(list(self._clean(part)))
        self._learnt_from = (len(part), len(inputs))
        if not self.tokens:
            raise DataError(
                f"expected texts that hold {self.unit}, each at least {self.min_count} times; "
                f"received {len(inputs):,} texts without any"
            )
        return self

    def encode(self, value: str) -> NDArray[np.int32]:
        """``int32[T]``: the ids of a text; ``[1]`` if it holds no token."""
        return self.encode_all([value])[0]

    def encode_all(self, texts: Iterable[str]) -> Sequence[NDArray[np.int32]]:
        """The ids of each text, as `encode` gives them; faster than one by one."""
        return Spool(self._cut(ids) for ids in self._rows(texts)).items()

    def guess_max_length(self, texts: Sequence[str]) -> int:
        """The number of tokens, at most 1,000, that 99 % of the texts, or a part, do not exceed."""
        lengths = [len(ids) for ids in self._rows(draw_part(texts))] or [1]
        covered = int(np.quantile(lengths, _COVERED, method="higher"))
        return min(max(covered, 1), _LONGEST)

    def decode(self, ids: ArrayLike) -> str:
        """A text with these ids; unknown tokens become U+FFFD, padding nothing.

        Raises
        ------
        DataError
            An id that this encoder cannot give.
        """
        numbers = np.asarray(ids)
        low, high = numbers.min(initial=0), numbers.max(initial=0)
        if (numbers.size and numbers.dtype.kind not in "iu") or low < 0 or high >= self.vocabulary:
            raise DataError(
                f"ids must be whole numbers from 0 to {self.vocabulary - 1}, received "
                f"{numbers.dtype} from {low} to {high}"
            )
        names = ["", UNKNOWN_MARK, *self.tokens]
        return self._join([names[number] for number in numbers.tolist() if number != PADDING])

    def describe(self, inputs: Sequence[str]) -> list[str]:
        """Lines on the vocabulary, unknown tokens in `inputs`, and texts that are cut or empty."""
        count = unknown = cut = empty = 0
        for ids in self._rows(inputs):
            count, empty = count + len(ids), empty + (not len(ids))
            unknown += int((ids == UNKNOWN).sum())
            cut += self.max_length is not None and len(ids) > self.max_length
        lines = [
            f"{self.unit}: vocabulary of {self.vocabulary:,}",
            f"{unknown / max(count, 1):.2%} of {count:,} {self.unit} are not in the vocabulary",
        ]
        part, total = self._learnt_from
        lines[0] += f", learnt from {part:,} of {total:,} texts" * (part < total)
        texts = f"{len(inputs):,} texts"
        if self.max_length is not None:
            share, end = cut / max(len(inputs), 1), "first" if self.keep == "start" else "last"
            lines.append(f"{share:.2%} of {texts} are cut to their {end} {self.max_length:,}")
        if empty:
            lines.append(f"{empty:,} of {texts} hold no {self.unit}")
        return lines

    def config(self) -> dict[str, Any]:
        """All that `from_config` needs, as plain JSON."""
        options = {option: getattr(self, option) for option in self._options}
        return {"name": self.name, **options, "tokens": list(self.tokens)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The encoder that `config` describes.

        Raises
        ------
        DataError
            `config` lacks a part, has a part that is not known, or one of a wrong type or size.
        """
        known = set(cls().config())
        where = f"configuration of a `{cls.name}` encoder: "
        if not isinstance(config, dict) or set(config) != known:
            received = ", ".join(map(str, config))[:500] if isinstance(config, dict) else config
            wanted = ", ".join(sorted(known))
            raise DataError(f"{where}expected {wanted}; received {received!r:.500}")
        if config["name"] != cls.name:
            raise DataError(f"`name` must be {cls.name!r}, received {config['name']!r:.50}")
        try:
            encoder = cls(**{option: config[option] for option in cls._options})
            encoder._restore(config)
        except (UsageError, DataError) as error:
            raise DataError(where + error.message) from error
        return encoder

    def _split(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text, which was cleaned."""
        raise NotImplementedError

    def _join(self, tokens: list[str]) -> str:
        return " ".join(tokens)

    def _learn(self, texts: list[str]) -> None:
        counts = Counter(chain.from_iterable(self._split(texts)))
        # of equally frequent tokens, the one seen first
        often = counts.most_common(self.vocabulary_size - _FIRST)
        self._know([token for token, count in often if count >= self.min_count])

    def _restore(self, config: Mapping[str, Any]) -> None:
        self._know(check_tokens(config["tokens"], self.vocabulary_size - _FIRST))

    def _know(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.vocabulary = len(tokens) + _FIRST
        self._ids = {token: number for number, token in enumerate(tokens, _FIRST)}

    def _rows(self, texts: Iterable[str]) -> Iterator[NDArray[np.int32]]:
        if not self.tokens:
            raise UsageError(
                f"the `{self.name}` encoder has learnt no {self.unit} yet", hint="call `fit` first"
            )
        return self._encode(self._clean(texts))

    def _encode(self, texts: Iterable[str]) -> Iterator[NDArray[np.int32]]:
        get = self._ids.get
        for tokens in self._split(texts):
            yield np.array([get(token, UNKNOWN) for token in tokens], np.int32)

    def _cut(self, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        if not len(ids):
            return np.array([UNKNOWN], np.int32)
        if self.max_length is None or len(ids) <= self.max_length:
            return ids
        # a copy, so that the rest does not stay in memory
        return (ids[: self.max_length] if self.keep == "start" else ids[-self.max_length :]).copy()

    def _clean(self, texts: Iterable[str]) -> Iterator[str]:
        if isinstance(texts, str):
            raise UsageError("expected a sequence of texts, received one str", hint="put it in [ ]")
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(f"text {row} must be a str, received {type(text).__name__}")
            text = to_nfc(text)
            # lower case of a capital may fall apart into a letter and its accent
            yield unicodedata.normalize("NFC", text.lower()) if self.lowercase else text


class Words(TextEncoder):
    """Words, without punctuation; parameters are those of `TextEncoder`.

    Examples
    --------
    >>> words = Words().fit(["The film, the BEST film!", "“정말” 좋은 film…"])
    >>> words.encode("best film ever").tolist()
    [4, 2, 1]
    >>> words.decode([3, 2, 6])
    'the film 좋은'
    """

    name = unit = "words"

    def _split(self, texts: Iterable[str]) -> Iterator[list[str]]:
        return map(split_words, texts)


class Characters(TextEncoder):
    """Characters, spaces and line ends included; parameters are those of `TextEncoder`.

    Examples
    --------
    >>> characters = Characters().fit(["좋다 좋아"])
    >>> characters.decode(characters.encode("아 좋다!"))
    '아 좋다�'
    """

    name = unit = "characters"

    def __init__(
        self,
        vocabulary_size: int = 5_000,
        max_length: int | None = None,
        lowercase: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(vocabulary_size, max_length, lowercase, **options)

    def _split(self, texts: Iterable[str]) -> Iterator[list[str]]:
        return map(list, texts)

    def _join(self, tokens: list[str]) -> str:
        return "".join(tokens)


class Jamo(Characters):
    """Characters, with each Hangul syllable as two or three jamo; parameters as `Characters`.

    Examples
    --------
    >>> jamo = Jamo().fit(["먹다"])
    >>> jamo.encode("먹다").tolist(), jamo.decode(jamo.encode("덕 마"))
    ([2, 3, 4, 5, 6], '덕�마')
    """

    name = unit = "jamo"

    def _split(self, texts: Iterable[str]) -> Iterator[list[str]]:
        return (list(split_jamo(text)) for text in texts)

    def _join(self, tokens: list[str]) -> str:
        return join_jamo("".join(tokens))


class Morphemes(TextEncoder):
    """Korean morphemes with their tags, such as ``먹/VV``; needs ``pip install "sunhwan[ko]"``.

    `decode` leaves the tags out. Parameters are those of `TextEncoder`.
    """

    name = unit = "morphemes"

    def _split(self, texts: Iterable[str]) -> Iterator[list[str]]:
        return split_morphemes(texts)

    def _join(self, tokens: list[str]) -> str:
        return " ".join(token.rpartition("/")[0] or token for token in tokens)


class Subwords(TextEncoder):
    """Sub-words learnt from the texts: frequent words whole, others in parts.

    Parameters
    ----------
    algorithm
        ``bpe`` or ``unigram``; see `sunhwan.data.subwords`.
    vocabulary_size, max_length, lowercase, keep, min_count
        As for `TextEncoder`; `min_count` is for characters and for pairs of sub-words.

    Examples
    --------
    >>> subwords = Subwords(vocabulary_size=24).fit(["low lower lowest", "new newer newest"])
    >>> subwords.encode("lowest newest").tolist() == subwords.encode(" lowest  newest").tolist()
    True
    >>> subwords.decode(subwords.encode("newer low"))
    'newer low'
    """

    name, unit = "subwords", "sub-words"
    _options = ("algorithm", *TextEncoder._options)

    def __init__(
        self,
        algorithm: Literal["bpe", "unigram"] = "bpe",
        vocabulary_size: int = 8_000,
        max_length: int | None = None,
        lowercase: bool = False,
        *,
        min_count: int = 2,
        **options: Any,
    ) -> None:
        super().__init__(vocabulary_size, max_length, lowercase, min_count=min_count, **options)
        self.algorithm = check_choice("algorithm", algorithm, tuple(ALGORITHMS))
        self._pieces = Pieces([], [], [])

    def config(self) -> dict[str, Any]:
        """All that `from_config` needs, as plain JSON."""
        merges = [list(merge) for merge in self._pieces.merges]
        return {**super().config(), "merges": merges, "scores": list(self._pieces.scores)}

    def _learn(self, texts: list[str]) -> None:
        self._pieces = ALGORITHMS[self.algorithm](texts, self.vocabulary_size, self.min_count)
        self._know(self._pieces.tokens)

    def _restore(self, config: Mapping[str, Any]) -> None:
        super()._restore(config)
        self._pieces = check_pieces(self.algorithm, self.tokens, config)

    def _encode(self, texts: Iterable[str]) -> Iterator[NDArray[np.int32]]:
        return self._pieces.ids_of_texts(texts)

    def _join(self, tokens: list[str]) -> str:
        return "".join(tokens).replace(SPACE, " ").strip(" ")


#: the text encoders by name
TEXT_ENCODERS: dict[str, type[TextEncoder]] = {
    encoder.name: encoder for encoder in (Words, Characters, Subwords, Jamo, Morphemes)
}


def text_encoder_from_config(config: Mapping[str, Any]) -> TextEncoder:
    """The text encoder whose `config` gave this.

    Raises
    ------
    DataError
        `config` names no known encoder, or is not as that encoder writes it.

    Examples
    --------
    >>> words = text_encoder_from_config(Words().fit(["so it is"]).config())
    >>> words.name, words.encode("it is").tolist()
    ('words', [3, 4])
    """
    name = config.get("name") if isinstance(config, dict) else None
    if not isinstance(name, str) or name not in TEXT_ENCODERS:
        raise DataError(
            f"the configuration of a text encoder must have a `name` out of "
            f"{', '.join(TEXT_ENCODERS)}; received {name!r:.50}"
        )
    return TEXT_ENCODERS[name].from_config(config)
