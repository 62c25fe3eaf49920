"""Suggestions for what was misspelt."""

from mfif.errors import suggest


def test_suggest() -> None:
    assert suggest("widht", ["depth", "width"]) == " Did you mean `width`?"
    assert suggest("zzz", ["depth", "width"]) == ""
