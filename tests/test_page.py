"""The page and its figures: self-contained, escaped, the same bytes each time."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from sunhwan.runs import figures
from sunhwan.runs.page import Code, Figure, Key, Page, Section, Table, render

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Reader(HTMLParser):
    """Collects tags, texts and addresses, and checks that every tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [
            value for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")
        ]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def curve(title: str = "Loss") -> str:
    return figures.curves(
        [figures.Curve([0.7, 0.5, 0.4], [0.6, 0.55, 0.57]), figures.Curve([0.8, 0.6])],
        title=title,
        label=f"{title} by epoch",
        reference=figures.Reference(0.442, "published 0.442"),
    )


@pytest.fixture(scope="module")
def page_text() -> str:
    answers = figures.answers(
        [([0.1, 0.9], [0.12, 0.8])], 0.04, title="Answers", label="wanted, predicted"
    )
    return render(
        Page(
            kicker="k",
            title="순환 <script>alert(1)</script>",
            result="0.8671 & more",
            note="a < b",
            compared=[("ours", "0.8671", "<b>")],
            sections=[
                Section("First & only", [
                    Key([("seed 1", figures.colour(0), False)]), Figure(curve()), Figure(answers),
                    Table(["", "<i>"], [["row", "1"], ["short"]], caption="c > d"),
                    Code("sunhwan reproduce 'x' && y"), "a paragraph with <em>"])
            ],
        )
    )  # fmt: skip


def test_page_is_self_contained(page_text):
    reader = read(page_text)
    assert all(address.startswith("#") for address in reader.addresses)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", page_text)
    assert "script" not in reader.tags


def test_page_escapes_every_text(page_text):
    for text in ("<script>", "<b>", "<i>", "<em>"):
        assert text not in page_text
    texts = " ".join(read(page_text).texts)
    for text in ("순환 <script>alert(1)</script>", "0.8671 & more", "a < b", "c > d", "'x' && y"):
        assert text in texts


def test_page_follows_light_dark_phone_and_print(page_text):
    assert "prefers-color-scheme: dark" in page_text
    assert "width=device-width" in page_text
    assert "@media print" in page_text
    assert 'class="scroll"' in page_text


def test_rows_are_as_wide_as_the_head(page_text):
    body = re.search(r"<tbody>(.*?)</tbody>", page_text, re.DOTALL)
    assert [len(re.findall("<t[hd]", row)) for row in body[1].split("</tr>")[:-1]] == [2, 2]


def test_figure_text_stays_text_and_colours_follow_the_page():
    svg = curve("손실")
    texts = "".join(read(svg).texts)
    assert "손실" in texts
    assert "published 0.442" in texts
    assert "epoch" in texts
    # every colour but those of the page is gone, and so are the fonts
    assert not re.search(r"(?<!, )#[0-9a-f]{6}", svg.replace("url(#", "url(").replace('"#', '"'))
    assert "font-family" not in svg
    assert "<style" not in svg


def test_same_figure_same_bytes():
    assert curve() == curve()
    assert figures.dots({"a": [1.0, 2.0]}, title="t", label="l") == figures.dots(
        {"a": [1.0, 2.0]}, title="t", label="l"
    )


def test_each_seed_has_training_dashed_and_validation_solid():
    svg = curve()
    first = [line for line in svg.split("<path") if figures.colour(0) in line]
    assert len(first) == 2
    assert sum("stroke-dasharray" in line for line in first) == 1
    # the second seed has no validation: its training is drawn solid
    second = [line for line in svg.split("<path") if figures.colour(1) in line]
    assert len(second) == 1
    assert "stroke-dasharray" not in second[0]


def test_confusion_map_writes_counts_only_for_few_classes():
    small = figures.confusion_map([[12, 3], [4, 5678]], ["no", "yes"], title="t", label="l")
    assert {"12", "3", "4", "5,678", "no", "yes"} <= set(read(small).texts)
    large = [[int(i == j) * 999 for j in range(11)] for i in range(11)]
    svg = figures.confusion_map(large, ["n"] * 11, title="t", label="l")
    assert "999" not in read(svg).texts
    assert svg.count("opacity") == 11


def test_losses_of_many_magnitudes_get_a_logarithmic_scale():
    steep = figures.curves([figures.Curve([0.06, 0.004, 0.0004])], title="t", label="l")
    assert {"0.001", "0.01"} <= set(read(steep).texts)
    flat = figures.curves([figures.Curve([0.06, 0.04, 0.004])], title="t", label="l")
    assert {"0.02", "0.04"} <= set(read(flat).texts)
