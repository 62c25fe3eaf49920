"""The one exception meant for the person at the keyboard, and how it suggests what was meant."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something given from outside cannot be used: a file, a folder, a setting.

    The message says what was expected, what came and what to do; the entry points print it without a traceback.
    """


def suggest(word: str, known: Iterable[str]) -> str:
    """``" Did you mean `x`?"`` for the nearest of the known words, or nothing if none is near."""
    near = difflib.get_close_matches(word, [str(name) for name in known], n=1, cutoff=0.5)
    return f" Did you mean `{near[0]}`?" if near else ""
