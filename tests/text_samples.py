"""Texts of two scripts, with what trips up encoders: accents, emoji, punctuation."""

TEXTS = [
    "정말 재미있는 영화였어요! 또 보고 싶은 영화예요ㅋㅋ",
    "영화가 너무 지루해서 잤어요... 정말 재미없는 영화",
    "The film wasn't bad; the acting was GOOD, the film was good.",
    "café naïve 영화 😀👍🏽 재미있어요 재미있는",
]
