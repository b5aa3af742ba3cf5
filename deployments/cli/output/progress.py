"""Shows the progress of long work as a bar, on the standard error where that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """Yields a function that takes the number of finished steps of `total`; None without a terminal."""
    with growing_bar(what) as show:
        yield show and (lambda done: show(done, total))


@contextmanager
def growing_bar(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yields a function that takes the numbers of finished and of all steps; None without a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    errors = Console(stderr=True)
    if not errors.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
