"""Tables of words and figures, the best ones marked, as Markdown, LaTeX, and for the terminal."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.table import Table as RichTable

from mfif.report.scores import merit

Mark = Literal["best", "second"]
_MARKDOWN: Mapping[Mark, str] = {"best": "**{}**", "second": "*{}*"}
_LATEX: Mapping[Mark, str] = {"best": r"\textbf{{{}}}", "second": r"\underline{{{}}}"}
_RICH: Mapping[Mark, str] = {"best": "[bold]{}[/]", "second": "[underline]{}[/]"}
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
}


@dataclass
class Table:
    """A table.

    Attributes:
        title: What it shows, one sentence without a full stop.
        header: Names of the columns.
        words: How many of the first columns are words, set to the left; the others are figures.
        rows: Text of the cells.
        marks: The cells that are the best and second best of their kind, by row and column.
    """

    title: str
    header: Sequence[str]
    words: int
    rows: Sequence[Sequence[str]]
    marks: Mapping[tuple[int, int], Mark] = field(default_factory=dict)

    def markdown(self) -> str:
        """The table in Markdown, its title above it; the best figures are bold, the second best italic."""
        rows = self._marked(_MARKDOWN, lambda text: text.replace("|", r"\|"))
        lines = [self.header, ["---"] * self.words + ["---:"] * (len(self.header) - self.words), *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"{self.title}:\n\n{table}\n"

    def latex(self) -> str:
        """The table in LaTeX, for the packages booktabs and graphicx."""
        columns = "l" * self.words + "r" * (len(self.header) - self.words)
        rows = [[escape_latex(name) for name in self.header], *self._marked(_LATEX, escape_latex)]
        head, *body = [rf"    {' & '.join(row)} \\" for row in rows]
        return "\n".join(
            [
                r"\begin{table}",
                r"  \centering",
                rf"  \caption{{{escape_latex(self.title)}.}}",
                # Wide ones are made to fit the line.
                r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
                rf"  \begin{{tabular}}{{{columns}}}",
                r"    \toprule",
                head,
                r"    \midrule",
                *body,
                r"    \bottomrule",
                r"  \end{tabular}}",
                r"\end{table}",
                "",
            ]
        )

    def rich(self) -> RichTable:
        """The table for the terminal."""
        table = RichTable(title=self.title, box=None, padding=(0, 1, 0, 0), pad_edge=False)
        for index, name in enumerate(self.header):
            justify: Literal["left", "right"] = "left" if index < self.words else "right"
            table.add_column(name.replace("_a", "\na"), justify=justify, no_wrap=True)
        for row in self._marked(_RICH, lambda text: text.replace("[", r"\[")):
            table.add_row(*row)
        return table

    def _marked(self, styles: Mapping[Mark, str], escape: Callable[[str], str]) -> list[list[str]]:
        return [
            [
                styles[self.marks[i, j]].format(escape(text)) if (i, j) in self.marks else escape(text)
                for j, text in enumerate(row)
            ]
            for i, row in enumerate(self.rows)
        ]


def escape_latex(text: str) -> str:
    """Text as LaTeX shows it."""
    return "".join(_SPECIAL.get(sign, sign) for sign in text)


def rank(figures: Sequence[float], higher_is_better: bool | None, decimals: int) -> dict[int, Mark]:
    """Find the best and the second best figures; those that look the same share their place.

    Args:
        figures: The candidates; NaN takes no part.
        higher_is_better: The direction; None where 0 is the best.
        decimals: Digits that are shown.

    Returns:
        Marks by position; none where all figures are alike.
    """
    shown = {
        index: merit(round(figure, decimals), higher_is_better)
        for index, figure in enumerate(figures)
        if not math.isnan(figure)
    }
    places = sorted(set(shown.values()), reverse=True)
    if len(places) < 2:
        return {}
    marks: dict[float, Mark] = {places[0]: "best", places[1]: "second"}
    return {index: marks[value] for index, value in shown.items() if value in marks}
