"""The worst errors of a run: texts whose words are coloured by their influence on the answer."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from sunhwan.runs.numbers import NOTHING, metric_text, number_text
from sunhwan.runs.page import Block, Passage, Section, Table
from sunhwan.runs.results_values import records
from sunhwan.runs.sentences import translated
from sunhwan.runs.wording import Words

_SHOWN = 24

#: letters of a text that are shown, and those around each word that is shown for its influence
_LETTERS, _AROUND = 700, 70

#: letters after which a word without any space is cut
_LONGEST_WORD = 80

#: a word below this share of the greatest influence in its text is not coloured
_FAINT = 0.08

#: stands for a word that an encoder does not know
_UNKNOWN = "\ufffd"

Piece = tuple[str, float]


def section(results: Mapping[str, Any], words: Words) -> list[Section]:
    """The worst errors with what was true, what was answered, and why."""
    errors = records(results, "errors")
    if not errors:
        return []
    shown = [
        {key: _placed(value, words) if key == "place" else value for key, value in error.items()}
        for error in errors[:_SHOWN]
    ]
    blocks: list[Block] = [words(_explanation(shown))]
    if any(error.get("influence") for error in shown):
        blocks.append(_legend(words))
    written = [error for error in shown if error.get("text") or error.get("tokens")]
    blocks += [Passage(_head(error, words), excerpt(pieces(error))) for error in written]
    bare = [error for error in shown if error not in written]
    if bare:
        all_keys = ("place", "true", "predicted", "probability")
        keys = [key for key in all_keys if any(key in error for error in bare)]
        rows = [[_answer(error.get(key)) for key in keys] for error in bare]
        blocks.append(Table([words(f"errors.head.{key}") for key in keys], rows))
    if len(errors) > len(shown):
        blocks.append(words("errors.more", count=f"{len(errors) - len(shown):,}"))
    return [Section(words("section.errors"), blocks)]


def pieces(error: Mapping[str, Any]) -> list[Piece]:
    """A text in pieces, each with a strength from -1 to 1: its influence or a wrong tag.

    Words are found again in the text, so that it is shown as it was written; where they are not
    all in it, such as after a cleaning that changed them, the words themselves are shown.

    Examples
    --------
    >>> pieces({"text": "Not  bad!", "words": ["not", "bad"], "influence": [-0.1, 0.4]})
    [('Not', -0.25), ('  ', 0.0), ('bad', 1.0), ('!', 0.0)]
    >>> pieces({"tokens": ["the", "bank"], "true": ["DET", "NOUN"], "predicted": ["DET", "VERB"]})
    [('the', 0.0), (' ', 0.0), ('bank (NOUN → VERB)', -1.0)]
    """
    tokens = [str(token) for token in error.get("tokens", [])]
    text = unicodedata.normalize("NFC", str(error.get("text", ""))) or " ".join(tokens)
    words = [str(word) for word in error.get("words", [])] or tokens
    influence = [value or 0.0 for value in error.get("influence", [])]
    if words and len(words) == len(influence):
        greatest = max(map(abs, influence)) or 1.0
        strengths = [value / greatest for value in influence]
        return list(_woven(text, words, strengths))
    return _with_wrong_tags(tokens, error) or [(text, 0.0)]


def excerpt(whole: Sequence[Piece]) -> list[Piece]:
    """A text that is not too long: of longer ones, what surrounds the strongest pieces.

    Examples
    --------
    >>> long = [("a " * 600, 0.0), ("bad", 1.0), (" b" * 600, 0.0)]
    >>> "".join(text for text, _ in excerpt(long))[:12], len(excerpt(long)) < 300
    ('… a a a a a ', True)
    """
    units = [unit for piece in whole for unit in _units(piece)]
    if sum(len(text) for text, _ in units) <= _LETTERS:
        return _merged(units)
    kept: set[int] = set()
    room = _LETTERS
    strongest = sorted(range(len(units)), key=lambda place: (-abs(units[place][1]), place))
    for place in strongest:
        if room <= 0 or (units[strongest[0]][1] and not units[place][1]):
            break
        new = _neighbours(units, place) - kept
        room -= sum(len(units[at][0]) for at in new)
        kept |= new
    parts: list[Piece] = []
    for place in sorted(kept):
        if place - 1 not in kept and place > 0:
            parts.append((" … " if parts else "… ", 0.0))
        parts.append(units[place])
    if len(units) - 1 not in kept:
        parts.append((" …", 0.0))
    return _merged(parts)


def _placed(place: Any, words: Words) -> str:
    return translated(str(place), words.language, "place")


def _explanation(errors: Sequence[Mapping[str, Any]]) -> str:
    answer = errors[0].get("true")
    if isinstance(answer, list):
        return "errors.read_tags" if errors[0].get("tokens") else "errors.read_steps"
    is_number = isinstance(answer, int | float) and "probability" not in errors[0]
    return "errors.read_numbers" if is_number else "errors.read"


def _legend(words: Words) -> Passage:
    samples = (("for", 1.0), ("for_weakly", 0.3), ("against_weakly", -0.3), ("against", -1.0))
    spans = [span for key, strength in samples
             for span in ((words(f"errors.{key}"), strength), (" · ", 0.0))]  # fmt: skip
    return Passage(words("errors.legend"), [*spans, (words("errors.unmarked"), 0.0)])


def _head(error: Mapping[str, Any], words: Words) -> str:
    answers = [key for key in ("true", "predicted") if not isinstance(error.get(key), list)]
    parts = [str(error.get("place", ""))]
    parts += [words(f"errors.{key}", answer=_answer(error[key])) for key in answers if key in error]
    if "probability" in error:
        parts.append(words("errors.probability", probability=f"{error['probability']:.3f}"))
    return " · ".join(part for part in parts if part)


def _answer(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return metric_text("", value)
    if isinstance(value, list):
        return _runs(value)
    return number_text(value) if isinstance(value, int) else str(value)


def _runs(labels: Sequence[Any]) -> str:
    """The labels of steps, those that follow each other as one.

    Examples
    --------
    >>> _runs(["up", "up", "up", "down", "up"])
    'up ×3, down, up'
    """
    runs = [(str(label), len(list(same))) for label, same in groupby(labels)]
    return ", ".join(label if count == 1 else f"{label} ×{count}" for label, count in runs)


def _with_wrong_tags(tokens: Sequence[str], error: Mapping[str, Any]) -> list[Piece]:
    """Tokens, behind each wrong one its true and its given tag; empty where they do not fit."""
    true, given = error.get("true"), error.get("predicted")
    if not (isinstance(true, list) and isinstance(given, list)):
        return []
    if not len(tokens) == len(true) == len(given):
        return []
    noted = [
        token if wanted == got else f"{token} ({_answer(wanted)} → {_answer(got)})"
        for token, wanted, got in zip(tokens, true, given, strict=True)
    ]
    strengths = [0.0 if wanted == got else -1.0 for wanted, got in zip(true, given, strict=True)]
    return list(_joined(noted, strengths))


def _woven(text: str, words: Sequence[str], strengths: Sequence[float]) -> Iterator[Piece]:
    """The text in pieces: words with their strengths, and what stands between them."""
    spans = _spans(text, words)
    if spans is None:
        yield from _joined(words, strengths)
        return
    end = 0
    for (start, stop), strength in zip(spans, strengths, strict=True):
        if start > end:
            yield text[end:start], 0.0
        if stop > start:
            yield text[start:stop], strength
        end = stop
    if end < len(text):
        yield text[end:], 0.0


def _joined(words: Sequence[str], strengths: Sequence[float]) -> Iterator[Piece]:
    for place, piece in enumerate(zip(words, strengths, strict=True)):
        if place:
            yield " ", 0.0
        yield piece


def _spans(text: str, words: Sequence[str]) -> list[tuple[int, int]] | None:
    """Where each word starts and ends, in order; None where they are not all there.

    A word may be several with other spaces than in the text. Of the unknown ones (U+FFFD) nothing
    is sought: alone they have no span, between others they lie in theirs.
    """
    parts = [[part for part in word.split() if _UNKNOWN not in part] for word in words]
    sought = [_folded(part) for several in parts for part in several]
    places = iter(_places(_folded(text), sought) or ())
    spans, end = [], 0
    for several in parts:
        found = [(start, start + len(part)) for part, start in zip(several, places, strict=False)]
        if len(found) < len(several):
            return None
        start, end = (found[0][0], found[-1][1]) if found else (end, end)
        spans.append((start, end))
    return spans


def _places(text: str, words: Sequence[str]) -> list[int]:
    """Where each word starts, in order; empty where they are not all there.

    The words may be only the first or the last of the text, which was cut to them: of the
    matches from the front and from the back, the one that spans fewer letters is right. Whole
    words go before parts of words.
    """
    for is_whole in (True, False):
        front = _first_places(text, words, is_whole)
        if not front:
            continue
        mirrored = [word[::-1] for word in reversed(words)]
        found = _first_places(text[::-1], mirrored, is_whole)
        starts = zip(found, mirrored, strict=True)
        back = [len(text) - start - len(word) for start, word in starts][::-1]
        return min(front, back, key=lambda places: places[-1] - places[0])
    return []


def _first_places(text: str, words: Sequence[str], is_whole: bool) -> list[int]:
    starts, end = [], 0
    for word in words:
        start = text.find(word, end)
        while is_whole and start >= 0 and _is_inside(text, start, start + len(word)):
            start = text.find(word, start + 1)
        if start < 0:
            return []
        starts.append(start)
        end = start + len(word)
    return starts


def _is_inside(text: str, start: int, stop: int) -> bool:
    """Whether a letter or digit touches either end."""
    return text[max(start - 1, 0) : start].isalnum() or text[stop : stop + 1].isalnum()


def _folded(text: str) -> str:
    """The text in lower case, each letter at its place."""
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def _units(piece: Piece) -> Iterator[Piece]:
    """A piece in words with the spaces after them, overlong ones cut."""
    text, strength = piece
    if not math.isfinite(strength) or abs(strength) < _FAINT:
        strength = 0.0
    whole = [text] if strength else re.findall(r"\s+|\S+\s*", text)
    for word in whole:
        yield (word if len(word) <= _LONGEST_WORD else f"{word[:_LONGEST_WORD]}…"), strength


def _neighbours(units: Sequence[Piece], place: int) -> set[int]:
    """The unit and those around it."""
    around = {place}
    for step in (-1, 1):
        room, at = _AROUND, place + step
        while 0 <= at < len(units) and room > 0:
            around.add(at)
            room -= len(units[at][0])
            at += step
    return around


def _merged(parts: Sequence[Piece]) -> list[Piece]:
    """Pieces without a colour that follow each other as one."""
    merged: list[Piece] = []
    for text, strength in parts:
        if merged and strength == merged[-1][1] == 0.0:
            merged[-1] = (merged[-1][0] + text, 0.0)
        else:
            merged.append((text, strength))
    return merged
