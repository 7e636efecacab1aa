"""Encoders for language models, which write a text anew: what is encoded comes back as it was.

`decode` of what `encode` gave is the text in NFC, with U+FFFD for what the vocabulary lacks.
`Characters` and `Jamo` of `sunhwan.data.tokens` do so as they are. `WrittenWords` and
`WrittenSubwords` split a text into written tokens first, none of whose characters is lost:

- a word, with the single space before it where there is one; an apostrophe may stand within,
- every other character for itself: punctuation, digits, spaces, line ends.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.drawing import in_blocks
from sunhwan.data.korean import to_nfc
from sunhwan.data.padding import Ragged
from sunhwan.data.subwords import ALGORITHMS, SPACE, Pieces
from sunhwan.data.tokens import UNKNOWN, UNKNOWN_MARK, Characters, Jamo, Subwords, TextEncoder
from sunhwan.errors import DataError, UsageError

#: characters of texts that are split at a time
_AT_ONCE = 1 << 22
#: combining marks lie below, but for selectors of variants, which follow no letters
_MARKS_END = 0x1F000
#: of the score of a character that no word holds, where there are no words; any does
_ALONE = -1.0
#: `guess_written` reads as many texts, and as many characters of each
_TEXTS, _CHARACTERS = 2_000, 10_000
#: `guess_read` chooses words where texts have so many in the mean, and of those that come no larger
#: a share is new
_FEWEST_WORDS, _MOST_NEW = 3, 0.15
_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")

# Sub-words are learnt and split between white space, and `▁` begins each written token there. So
# white space and `▁` within one are stood for by code points that Unicode keeps out of texts.
_STANDINS = range(0xFDD0, 0xFDF0)
_BLANKS = [
    *("\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"),
    *map(chr, range(0x2000, 0x200B)),
    SPACE,
]
_HIDE = dict.fromkeys(_STANDINS, UNKNOWN_MARK) | {
    ord(blank): chr(code) for blank, code in zip(_BLANKS, _STANDINS, strict=False)
}
_SHOW = {code: blank for blank, code in zip(_BLANKS, _STANDINS, strict=False)} | {ord(SPACE): ""}


def split_written(text: str) -> Iterator[str]:
    r"""The written tokens of a text, which joined are the text.

    Examples
    --------
    >>> list(split_written("Don't go  now,\n정말 3."))
    ["Don't", ' go', ' ', ' now', ',', '\n', '정말', ' ', '3', '.']
    """
    return (found[0] for found in _written().finditer(text))


@cache
def _written() -> re.Pattern[str]:
    marks = "".join(c for c in map(chr, range(_MARKS_END)) if unicodedata.category(c)[0] == "M")
    # possessive throughout, so that a text of one letter after the other needs no memory
    letters = f"(?:[^\\W\\d_]++[{marks}]*+)++"
    # in Korean a quotation mark may stand before the ending of a word, as in '순환'은
    return re.compile(f"(?s: ?+{letters}(?:['’](?=[A-Za-z\u00c0-\u024f]){letters})*|.)")


class WrittenWords(TextEncoder):
    r"""Words as they are written, with the space before them, and all between them.

    Parameters
    ----------
    vocabulary_size, min_count
        As for `sunhwan.data.tokens.TextEncoder`.

    Examples
    --------
    >>> words = WrittenWords().fit(["To be, or not to be:\nTo sleep"])
    >>> words.tokens
    ['To', ' be', ',', ' or', ' not', ' to', ':', '\n', ' sleep']
    >>> words.decode(words.encode("To be  or\nnot"))
    'To be� or\n�'
    """

    name, unit = "written-words", "words"
    _options = ("vocabulary_size", "min_count")

    def __init__(self, vocabulary_size: int = 20_000, *, min_count: int = 1) -> None:
        super().__init__(vocabulary_size, None, False, min_count=min_count)

    def _split(self, texts: Iterable[str]) -> Iterator[list[str]]:
        return (list(split_written(text)) for text in texts)

    def _encode(self, texts: Iterable[str]) -> Iterator[NDArray[np.int32]]:
        get = self._ids.get
        for text in texts:
            yield np.fromiter((get(token, UNKNOWN) for token in split_written(text)), np.int32)

    def _join(self, tokens: list[str]) -> str:
        return "".join(tokens)


class _Hidden(dict[str, str]):
    """Written tokens to what stands for them where sub-words are learnt, filled as they are met."""

    def __missing__(self, token: str) -> str:
        self[token] = token.translate(_HIDE)
        return self[token]


class WrittenSubwords(Subwords):
    r"""Sub-words learnt within written words, with the space before them, and all between them.

    In `tokens`, a ``▁`` begins a word, and U+FDD0 to U+FDEF stand for white space; the latter, if
    a text itself has one, is unknown.

    Parameters
    ----------
    algorithm
        ``bpe`` or ``unigram``; see `sunhwan.data.subwords`.
    vocabulary_size, min_count
        As for `sunhwan.data.tokens.Subwords`, but all characters between words, and those in words
        that occur less often, are learnt too, while they take up at most half of the vocabulary.

    Examples
    --------
    >>> subwords = WrittenSubwords(vocabulary_size=30).fit(["low, lower,\nlowest new newer newest"])
    >>> subwords.decode(subwords.encode("newest  low,\n\nlower"))
    'newest  low,\n\nlower'
    """

    name, unit = "written-subwords", "sub-words"
    _options = ("algorithm", "vocabulary_size", "min_count")

    def __init__(
        self,
        algorithm: Literal["bpe", "unigram"] = "bpe",
        vocabulary_size: int = 8_000,
        *,
        min_count: int = 2,
    ) -> None:
        super().__init__(algorithm, vocabulary_size, None, False, min_count=min_count)

    def _learn(self, texts: list[str]) -> None:
        hidden = _Hidden()
        words = [
            " ".join(token for token in map(hidden.__getitem__, split_written(text)) if token[1:])
            for text in texts
        ]
        counts: Counter[str] = Counter()
        within: Counter[str] = Counter()
        for text, some in zip(texts, words, strict=True):
            counts.update(text.translate(_HIDE))
            within.update(some)
        # what words hold too rarely for `ALGORITHMS` to learn it; of equals the one seen first
        rest = [c for c, _ in counts.most_common() if within[c] < self.min_count]
        alone = rest[: (self.vocabulary_size - UNKNOWN - 1) // 2]
        size = self.vocabulary_size - len(alone)
        learnt = ALGORITHMS[self.algorithm](words, size, self.min_count)
        # the last resort within a word
        lowest = [min(learnt.scores, default=_ALONE)] * len(alone)
        scores = learnt.scores + lowest if self.algorithm == "unigram" else []
        self._pieces = Pieces(learnt.tokens + alone, learnt.merges, scores)
        self._know(self._pieces.tokens)

    def _encode(self, texts: Iterable[str]) -> Iterator[NDArray[np.int32]]:
        for block in in_blocks(texts, _AT_ONCE):
            seen: defaultdict[str, int] = defaultdict()
            seen.default_factory = seen.__len__
            numbers = Ragged.from_rows(
                np.fromiter((seen[token] for token in split_written(text)), np.int64)
                for text in block
            )
            rows = self._ids_of([token.translate(_HIDE) for token in seen])
            rows = rows.take(numbers.flat.astype(np.int64))
            for start, end in pairwise(rows.offsets[numbers.offsets]):
                # a copy, so that no text keeps the whole block in memory
                yield rows.flat[start:end].astype(np.int32)

    def _ids_of(self, tokens: Sequence[str]) -> Ragged:
        """The ids of each written token: of a word those of its pieces, else one."""
        is_word = np.fromiter((len(token) > 1 for token in tokens), np.bool_, len(tokens))
        words = self._pieces.ids_of_words([token for token in tokens if len(token) > 1])
        get = self._ids.get
        single = [[get(SPACE + token, get(token, UNKNOWN))] for token in tokens if len(token) == 1]
        order = np.empty(len(tokens), np.int64)
        order[is_word] = np.arange(len(words))
        order[~is_word] = np.arange(len(single)) + len(words)
        return words.join(Ragged.from_rows(single)).take(order)

    def _join(self, tokens: list[str]) -> str:
        return "".join(tokens).translate(_SHOW)


#: makes a new encoder, by what a text is split into
WRITTEN_ENCODERS: dict[str, Callable[..., TextEncoder]] = {
    "characters": Characters,
    "jamo": Jamo,
    "words": WrittenWords,
    "bpe": partial(WrittenSubwords, "bpe"),
    "unigram": partial(WrittenSubwords, "unigram"),
}
#: how a text is split for encoders whose ids stand for tokens as they are written
WHOLE_TOKENS: dict[str, Callable[[str], Iterable[str]]] = {
    "characters": iter,
    "words": split_written,
}
_CLASSES: dict[str, type[TextEncoder]] = {
    encoder.name: encoder for encoder in (Characters, Jamo, WrittenWords, WrittenSubwords)
}


def written_encoder(tokens: str, vocabulary_size: int | None = None, **options: Any) -> TextEncoder:
    """A new encoder that gives texts back without loss.

    Parameters
    ----------
    tokens
        What a text is split into: a name out of `WRITTEN_ENCODERS`.
    vocabulary_size
        The most ids; None leaves it to the encoder.
    options
        ``min_count``: tokens that occur less often are not learnt.

    Raises
    ------
    UsageError
        There is no such encoder or option, or a value does not fit.

    Examples
    --------
    >>> encoder = written_encoder("jamo", 60).fit(["국민대학"])
    >>> encoder.decode(encoder.encode("대국"))
    '대국'
    """
    if tokens not in WRITTEN_ENCODERS:
        raise UsageError(
            f"`tokens` must be one of {', '.join(WRITTEN_ENCODERS)} for texts that are written, "
            f"received {tokens!r:.50}"
        )
    if unknown := sorted(set(options) - {"min_count"}):
        raise UsageError(
            f"`{unknown[0]}` cannot be given for texts that are written, only `min_count`"
        )
    if vocabulary_size is not None:
        options["vocabulary_size"] = vocabulary_size
    return WRITTEN_ENCODERS[tokens](**options)


def written_encoder_from_config(config: Mapping[str, Any]) -> TextEncoder:
    """The encoder of `written_encoder` whose `config` gave this.

    Raises
    ------
    DataError
        `config` names no such encoder, is not as that encoder writes it, or loses parts of texts.

    Examples
    --------
    >>> words = written_encoder("words").fit(["so it is"])
    >>> written_encoder_from_config(words.config()).encode("so is").tolist()
    [2, 4]
    """
    name = config.get("name") if isinstance(config, dict) else None
    if not isinstance(name, str) or name not in _CLASSES:
        raise DataError(
            f"the configuration of an encoder of written texts must have a `name` out of "
            f"{', '.join(_CLASSES)}; received {name!r:.50}"
        )
    encoder = _CLASSES[name].from_config(config)
    if encoder.lowercase or encoder.max_length is not None:
        raise DataError(
            f"configuration of a `{name}` encoder: `lowercase` must be false and `max_length` "
            f"null where texts are written, received {encoder.lowercase} and {encoder.max_length}"
        )
    return encoder


def tokens_of(tokens: str, text: str) -> list[str]:
    """What each id of a text stands for, as it is written there.

    Parameters
    ----------
    tokens
        Out of `WHOLE_TOKENS`; of others, an id stands for a part that was learnt.

    Examples
    --------
    >>> tokens_of("words", "Ask Bo.")
    ['Ask', ' Bo', '.']
    """
    return list(WHOLE_TOKENS[tokens](to_nfc(text)))


def guess_read(texts: Sequence[str]) -> tuple[str, str]:
    """The name of the encoder to begin with for texts that are only read, and why.

    Words, where texts have some and few that come are new; else as for `guess_written`. The share
    that is new is that of the words that occur once (Good 1953, equation 9). Reads as much as
    `guess_written`.

    Examples
    --------
    >>> guess_read(["Is it so?", "So it is.", "So is it."] * 2)
    ('words', 'of the next 100 words about 0 will be new')
    >>> guess_read(["lorem", "ipsum"])
    ('characters', '9 different ones write the texts')
    """
    some = texts[:: max(1, len(texts) // _TEXTS)][:_TEXTS]
    words = [
        token
        for text in some
        for token in split_written(to_nfc(text[:_CHARACTERS]))
        if len(token) > 1
    ]
    counts = Counter(words)
    new = sum(count == 1 for count in counts.values()) / max(len(words), 1)
    if len(words) < _FEWEST_WORDS * len(some) or new > _MOST_NEW:
        return guess_written(texts)
    return "words", f"of the next 100 words about {100 * new:.0f} will be new"


def guess_written(texts: Sequence[str]) -> tuple[str, str]:
    """The name of the encoder to begin with, and why: characters, as few ids write any text.

    Reads at most 2,000 texts, evenly spread, and 10,000 characters of each.

    Examples
    --------
    >>> guess_written(["to be or not"])
    ('characters', '7 different ones write the texts')
    """
    some = texts[:: max(1, len(texts) // _TEXTS)][:_TEXTS]
    seen = set().union(*(to_nfc(text[:_CHARACTERS]) for text in some))
    reason = f"{len(seen):,} different ones write the texts"
    if syllables := len(_HANGUL.findall("".join(seen))):
        reason += f", {syllables:,} of them Hangul"
    return "characters", reason
