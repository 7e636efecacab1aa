"""Korean and other scripts: NFC, Hangul to jamo and back, morphemes, what suits which script."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from sunhwan.data.words import PUNCTUATION
from sunhwan.errors import UsageError

#: which text encoder `guess_text_encoder` takes for Korean
KOREAN_CHOICE = "subwords"

_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
#: scripts without spaces between words: Thai and Lao, Myanmar, Khmer, kana, Han
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_LETTER = re.compile(r"[^\W\d_]")
#: a script decides from this share of the letters on; Korean texts often hold Latin names and code
_DECIDES = 0.3
#: more letters to a word on average than any written language has
_NO_WORDS = 25
#: `guess_text_encoder` reads as many texts, and as many characters of each
_TEXTS, _CHARACTERS = 2_000, 1_000
#: kiwipiepy takes time with the square of the letters between two spaces, 10 s for 100,000 of them,
#: and cuts them into morphemes of about this length all the same
_LONG_RUN = re.compile(r"\S{1000}(?=\S)")


class _Spaces(dict[int, str]):
    """For `str.translate`: the punctuation of all scripts as spaces, filled as it is met."""

    def __missing__(self, code: int) -> str:
        mark = unicodedata.category(chr(code)).startswith("P") and code > 127
        self[code] = " " if mark else chr(code)
        return self[code]


_SPACES = _Spaces({ord(mark): " " for mark in PUNCTUATION} | {ord("’"): "'"})

# The Unicode Standard, section 3.12: syllable = S + (lead * 21 + vowel) * 28 + tail, where tail 0
# means none, and the jamo stand in the same order from L, V and T + 1 on.
_S, _L, _V, _T = 0xAC00, 0x1100, 0x1161, 0x11A7
_LEADS, _VOWELS, _TAILS = 19, 21, 28
_SYLLABLES = _LEADS * _VOWELS * _TAILS

_JAMO_RUN = re.compile(
    f"([{chr(_L)}-{chr(_L + _LEADS - 1)}])([{chr(_V)}-{chr(_V + _VOWELS - 1)}])"
    f"([{chr(_T + 1)}-{chr(_T + _TAILS - 1)}]?)"
)


def to_nfc(text: str) -> str:
    """The text in Unicode NFC; halves of surrogate pairs are joined, or become U+FFFD if alone.

    Examples
    --------
    >>> len("각"), len(unicodedata.normalize("NFD", "각")), len(to_nfc("\u1100\u1161\u11a8"))
    (1, 3, 1)
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # JSON can spell such halves, which are no characters
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return unicodedata.normalize("NFC", text)


def guess_text_encoder(texts: Sequence[str]) -> tuple[str, str]:
    """The name of the text encoder that suits the script of the texts, and why.

    Reads at most 2,000 texts, evenly spread, and 1,000 characters of each.

    Examples
    --------
    >>> guess_text_encoder(["정말 재미있는 영화!", "great 최고"])
    ('subwords', '67% of the letters are Hangul, whose words take endings')
    >>> guess_text_encoder(["a fine film"])
    ('words', 'words stand between spaces')
    """
    some = texts[:: max(1, len(texts) // _TEXTS)][:_TEXTS]
    sample = " ".join(to_nfc(text[:_CHARACTERS]) for text in some)
    letters = len(_LETTER.findall(sample))
    if not letters:
        return "characters", "the texts hold no letters"
    hangul, unspaced = (len(script.findall(sample)) / letters for script in (_HANGUL, _UNSPACED))
    if hangul >= _DECIDES:
        return KOREAN_CHOICE, f"{hangul:.0%} of the letters are Hangul, whose words take endings"
    if unspaced >= _DECIDES:
        return "characters", f"{unspaced:.0%} of the letters are of scripts that space no words"
    if letters / len(sample.split()) > _NO_WORDS:
        return "characters", f"more than {_NO_WORDS} letters stand between spaces on average"
    return "words", "words stand between spaces"


def split_words(text: str) -> list[str]:
    """The words of a text in any script and case: punctuation turned into spaces, then split.

    For ASCII text they are those of `sunhwan.data.words.split_words`, the apostrophe kept; for
    others, punctuation such as … “ 。 is a space too, and ’ is an apostrophe.

    Examples
    --------
    >>> split_words("“정말” 재미있다…ㅋㅋ It’s so-so")
    ['정말', '재미있다', 'ㅋㅋ', "It's", 'so', 'so']
    """
    return text.translate(_SPACES).split()


def split_jamo(text: str) -> str:
    """The text with each Hangul syllable as its two or three conjoining jamo.

    A consonant at the start of a syllable and the same one at its end are different characters,
    so nothing is lost; all that is no syllable stays as it is, single letters such as ㅋ included.

    Examples
    --------
    >>> [f"{ord(jamo):04X}" for jamo in split_jamo("한ㅋ")]
    ['1112', '1161', '11AB', '314B']
    """
    return text.translate(_jamo_of_syllables())


def join_jamo(text: str) -> str:
    """The text with each run of conjoining jamo as a syllable: undoes `split_jamo`.

    Exact for text in NFC, in which no jamo are left that could form a syllable.

    Examples
    --------
    >>> join_jamo(split_jamo("닭이 운다 ㅋㅋ"))
    '닭이 운다 ㅋㅋ'
    """
    return _JAMO_RUN.sub(_syllable, text)


def split_morphemes(texts: Iterable[str]) -> Iterator[list[str]]:
    """The morphemes of each text as ``form/TAG``, such as ``먹/VV``, by kiwipiepy.

    The same text has the same morphemes whatever stands beside it and however many threads read.
    After 1,000 characters without a space one is put in.

    Raises
    ------
    UsageError
        kiwipiepy is not installed.
    """
    for morphemes in _kiwi().tokenize(_LONG_RUN.sub(r"\g<0> ", text) for text in texts):
        yield [f"{morpheme.form}/{morpheme.tag}" for morpheme in morphemes]


@cache
def _kiwi() -> Any:
    try:
        from kiwipiepy import Kiwi
    except ImportError as error:
        raise UsageError(
            "the `morphemes` encoder needs kiwipiepy, which is not installed",
            hint='pip install "sunhwan[ko]"',
        ) from error
    return Kiwi()


@cache
def _jamo_of_syllables() -> dict[int, str]:
    table = {}
    for place in range(_SYLLABLES):
        rest, tail = divmod(place, _TAILS)
        lead, vowel = divmod(rest, _VOWELS)
        jamo = chr(_L + lead) + chr(_V + vowel)
        table[_S + place] = jamo + chr(_T + tail) if tail else jamo
    return table


def _syllable(run: re.Match[str]) -> str:
    lead, vowel, tail = run.groups()
    place = ((ord(lead) - _L) * _VOWELS + ord(vowel) - _V) * _TAILS
    return chr(_S + place + (ord(tail) - _T if tail else 0))
