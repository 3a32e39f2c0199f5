"""Show the progress of a long command, in a terminal or in a notebook only."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Task
    from rich.text import Text


@contextmanager
def show_progress(total: int, what: str = "links") -> Iterator[Callable[[], None]]:
    """Show a progress bar with rate and time left, and yield a function that advances it.

    Parameters
    ----------
    total
        Number of steps.
    what
        Name of the steps, in the plural.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter:  # because rich's own bar needs ipywidgets
        yield _show_in_notebook(total, what)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TimeRemainingColumn,
    )

    class RateColumn(ProgressColumn):
        """Steps in each second."""

        def render(self, task: Task) -> Text:
            from rich.text import Text

            return Text(format_rate(task.finished_speed or task.speed), style="dim")

    columns = (
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
    )
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what.capitalize(), total=total)
        yield lambda: bar.advance(task)


def format_rate(speed: float | None) -> str:
    """Format the number of steps per second, or per minute if they are slow.

    Examples
    --------
    >>> [format_rate(speed) for speed in (None, 12.34, 0.05)]
    ['', '12.3/s', '3.0/min']
    """
    if not speed:
        return ""
    return f"{speed:.1f}/s" if speed >= 1 else f"{speed * 60:.1f}/min"


def format_left(seconds: float) -> str:
    """Format the remaining time in whole minutes and seconds.

    Examples
    --------
    >>> format_left(75.2), format_left(3_700)
    ('1:15 left', '1:01:40 left')
    """
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02} left" if hours else f"{minutes}:{left:02} left"


def _show_in_notebook(total: int, what: str) -> Callable[[], None]:
    """Display a bar below the current notebook cell, and return a function that advances it."""
    from threading import Lock

    from IPython.display import display

    done, lock, started = 0, Lock(), time.monotonic()

    def draw() -> dict[str, Any]:
        words = f"{done:,} of {total:,} {what}"
        rate = done / max(time.monotonic() - started, 1e-6)
        if 0 < done < total:
            words += f", {format_rate(rate)}, {format_left((total - done) / rate)}"
        bar = f'<progress value="{done}" max="{total}" aria-label="{words}"></progress> {words}'
        return {"text/html": bar, "text/plain": words}

    handle = display(draw(), raw=True, display_id=True)

    def tick() -> None:
        nonlocal done
        with lock:
            done += 1
            handle.update(draw(), raw=True)

    return tick
