"""What a report shows of pairs of texts: what was written, where the network looked, by length."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sunhwan.runs import canvas
from sunhwan.runs.maps import attention_map
from sunhwan.runs.page import Page, Passage, render
from sunhwan.runs.results_translations import attention, by_length, translations
from sunhwan.runs.wording import Words
from test_page import read

KOREAN, ENGLISH = ["들어", "와", ".", ""], ["Come", " ", "in", "."]
WEIGHTS = [[0.1, 0.0, 0.9, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.1, 0.4, 0.5], [0.0, 0.0, 0.0, 1.0]]


class Named(Words):
    """Gives the key and the values in place of a text, so that no wording is tested."""

    def __init__(self) -> None:
        super().__init__("en")

    def __call__(self, key, **values):
        return f"[{key}{''.join(f' {name}={value}' for name, value in values.items())}]"


WORDS = Named()


def pair(**changes):
    return {"place": "a.tsv, line 2", "source": "I forgot.", "references": ["잊어버렸어."],
            "hypothesis": "잊었다.", "chrf": 31.234, "exact": False, **changes}  # fmt: skip


def passages(results):
    (section,) = translations(results, WORDS)
    return [block for block in section.blocks if isinstance(block, Passage)]


def text(passage):
    return "".join(part for part, _ in passage.spans)


def looked(**changes):
    return {"source": ENGLISH, "written": KOREAN, "weights": WEIGHTS, **changes}


def figures(*entries):
    (section,) = attention({"attention": list(entries)}, WORDS)
    return section.blocks[1:]


def shaded(svg):
    """How many cells of a map have which opacity."""
    cells = re.findall(r'<path d="([^"]*)"[^>]*style="fill: var\(--accent([^"]*)"', svg)
    opacities = [re.search(r"opacity: ([\d.]+)", look) for _, look in cells]
    # what is opaque has none
    return {
        float(found[1]) if found else 1.0: path.count("z")
        for found, (path, _) in zip(opacities, cells, strict=True)
    }


def test_a_pair_is_shown_with_all_its_references_and_what_it_is_worth():
    (shown,) = passages({"translations": [pair(references=["잊어버렸어.", "잊었어."])]})
    assert shown.head == "a.tsv, line 2 · [translations.chrf chrf=31.23]"
    assert text(shown).split("\n") == [
        "[translations.source]: I forgot.", "[translations.reference]: 잊어버렸어.",
        "[translations.reference]: 잊었어.", "[translations.hypothesis]: 잊었다.",
    ]  # fmt: skip
    assert all(strength == 0 for _, strength in shown.spans)


def test_only_what_was_written_exactly_is_marked():
    exact = pair(hypothesis="잊어버렸어.", exact=True, chrf=100.0)
    first, second = passages({"translations": [exact, pair()]})
    assert [part for part, strength in first.spans if strength] == ["잊어버렸어."]
    assert first.head == "a.tsv, line 2 · [translations.exact]"
    assert not any(strength for _, strength in second.spans)


def test_the_worst_follow_the_evenly_chosen_ones():
    results = {"translations": [pair()], "worst_translations": [pair(source="Stop.", place="")]}
    (section,) = translations(results, WORDS)
    kinds = [block if isinstance(block, str) else text(block)[:30] for block in section.blocks]
    assert kinds[0] == "[translations.read]"
    assert kinds[2] == "[worst_translations.read]"
    assert "Stop." in kinds[3]
    assert section.blocks[3].head == "[translations.chrf chrf=31.23]"


def test_odd_texts_take_a_line_each_and_nothing_written_is_said_so():
    odd = pair(source="two\n lines\tand tabs", hypothesis="", references=["<b>&amp;"])
    (shown,) = passages({"translations": [odd]})
    lines = text(shown).split("\n")
    assert len(lines) == 3
    assert lines[0].endswith("two lines and tabs")
    assert lines[2].endswith("[translations.nothing]")
    long = pair(source="word " * 2000, hypothesis="long " * 2000, exact=True)
    (shown,) = passages({"translations": [long]})
    assert len(text(shown)) < 2500
    assert [part[:9] for part, strength in shown.spans if strength] == ["long long"]


@pytest.mark.parametrize("part", [translations, attention, by_length])
def test_what_is_absent_has_no_section(part):
    empty = {"translations": [], "attention": [], "by_length": {}}
    assert part({}, WORDS) == part(empty, WORDS) == []


def test_a_map_names_rows_and_columns_and_shades_by_weight():
    (figure,) = figures(looked(text="Come in."))
    names = re.findall(r"<text[^>]*>([^<]*)</text>", figure.svg)
    assert names == ["Come", "␣", "in", ".", "들어", "와", ".", "[attention.end]"]
    # of sixteen shades: 0.1 is two of them, 0.4 six, 0.9 fourteen
    assert shaded(figure.svg) == {0.125: 2, 0.375: 1, 0.5: 1, 0.875: 1, 1.0: 2}
    assert figure.caption == "[attention.of text=Come in.]"


def test_cells_stand_where_their_weights_do():
    weights = np.zeros((3, 5))
    weights[2, 1] = 0.5
    svg = attention_map(weights, list("abc"), list("vwxyz"), label="one cell")
    (path,) = re.findall(r'<path d="([^"]*)"[^>]*style="fill: var\(--accent', svg)
    x, y = np.array(re.findall(r"[ML] ([\d.]+) ([\d.]+)", path), float)[:4].mean(axis=0)
    names = re.findall(r'<text[^>]*\bx="([^"]*)" y="([^"]*)"[^>]*>([^<]*)<', svg)
    spots = {name: (float(across), float(down)) for across, down, name in names}
    assert min(spots, key=lambda name: abs(spots[name][0] - x)) == "w"
    assert min(spots, key=lambda name: abs(spots[name][1] - y)) == "c"


def test_a_long_source_is_shown_in_several_maps_and_a_longer_one_is_cut():
    many, written = [f"s{n}" for n in range(70)], [f"w{n}" for n in range(60)]
    weights = np.full((60, 70), 1 / 70).tolist()
    shown = figures({"source": many, "written": written, "weights": weights})
    drawn = [re.findall(r"<text[^>]*>(s\d+)</text>", figure.svg) for figure in shown]
    assert [name for names in drawn for name in names] == many
    assert max(map(len, drawn)) <= 24
    assert "[attention.band first=25 last=47 count=70]" in shown[1].caption
    assert all("[attention.cut shown=48 count=60]" in figure.caption for figure in shown)
    endless = [f"s{n}" for n in range(500)]
    shown = figures(looked(source=endless, weights=np.full((4, 500), 0.002).tolist()))
    assert len(shown) == 4
    assert shown[-1].caption.endswith("[attention.band first=73 last=96 count=500]")


def test_names_that_are_too_long_are_cut_and_those_that_fit_lie_flat():
    long = ["supercalifragilisticexpialidocious", "국민대학교소프트웨어융합대학원생"]
    weights = np.full((2, 2), 0.5)
    svg = attention_map(weights, long, long, label="long names")
    names = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert all(name.endswith("…") and len(name) > 7 for name in names)
    assert "rotate(-90" not in attention_map(weights, ["a", "b"], ["나", "다"], label="flat")
    sentence = ["도서관에서"] * 12
    svg = attention_map(np.full((1, 12), 1 / 12), ["a"], sentence, label="upright")
    assert svg.count("rotate(-90") == 12


def test_all_of_a_map_is_inside_it():
    svg = attention_map(np.eye(2), ["긴이름이있다", "b"], ["x" * 12, "도서관에서는"], label="i")
    _, _, width, height = map(float, re.search(r'viewBox="([^"]*)"', svg)[1].split())
    points = np.array(re.findall(r"[ML] (-?[\d.]+) (-?[\d.]+)", svg), float)
    assert points.min() >= 0
    assert (points.max(axis=0) <= (width, height)).all()


def test_weights_that_do_not_fit_are_left_out():
    assert attention({"attention": [looked(weights=WEIGHTS[:3])]}, WORDS) == []
    assert attention({"attention": [looked(weights=[row[:3] for row in WEIGHTS])]}, WORDS) == []
    assert attention({"attention": [looked(source=[], weights=[[]] * 4)]}, WORDS) == []
    unknown = [[None, 0.5, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [-1.0, 0, 0, 0], [0, 0, 0, 0]]
    (figure,) = figures(looked(weights=unknown))
    assert shaded(figure.svg) == {0.5: 1, 1.0: 1}


def test_a_map_is_the_same_each_time_and_small():
    random = np.random.default_rng(4).dirichlet(np.full(24, 0.1), 48)
    names = [f"토큰{n}" for n in range(48)]
    first, second = (attention_map(random, names, names[:24], label="m") for _ in range(2))
    assert first == second
    assert len(first) < 40_000


def test_a_page_of_all_parts_is_well_formed_and_escaped():
    hostile = "</svg><script>alert(1)</script>$x$"
    results = {
        "translations": [pair(source=hostile, hypothesis=hostile)],
        "attention": [looked(written=[hostile, "b", "c", "d"], text=hostile), looked()],
        "by_length": {"edges": [2, 4, 9], "chrf": [40.5, None], "count": [3, 4]},
    }
    parts = (translations, attention, by_length)
    sections = [section for part in parts for section in part(results, WORDS)]
    page = render(Page("k", "t", "r", sections, styles=("page.css", "passages.css")))
    reader = read(page)
    assert "script" not in reader.tags
    assert page.count("<figure") == len(re.findall("<figcaption>(.+?)</figcaption>", page)) == 3
    names = re.findall(r'\bid="([^"]*)"', page)
    assert len(names) == len(set(names))
    assert canvas.css(canvas.ACCENT) in page


def test_likeness_by_length_names_its_groups():
    results = {"by_length": {"edges": [2, 4, 9], "chrf": [40.5, 21.0], "count": [3, 4]}}
    (section,) = by_length(results, WORDS)
    svg = section.blocks[0].svg
    assert ["2–3" in svg, "4–9" in svg, "[metric.chrf]" in svg] == [True] * 3
    assert by_length({"by_length": {"edges": [2, 9], "chrf": [40.5], "count": [7]}}, WORDS) == []
    assert by_length({"by_length": {"edges": [2, 9], "error": [0.5], "count": [7]}}, WORDS) == []
