"""How far a fusion has come, for people who wait."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown() -> Iterator[Callable[[str, float], None] | None]:
    """Show progress on the terminal until it is done; what to tell it, None where nobody looks.

    It goes to stderr, and nothing of it is left.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def told(what: str, share: float) -> None:
            if what not in tasks:
                for before in tasks.values():
                    progress.update(before, visible=False)
                tasks[what] = progress.add_task(what, total=1.0 if share else None)
            progress.update(tasks[what], completed=share)

        yield told
