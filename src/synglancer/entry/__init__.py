"""Start the commands; Ctrl+C is handled before anything else is imported."""

from synglancer.interrupted import end_when_interrupted


def make_link_main() -> None:
    """Run ``make-link``."""
    end_when_interrupted()
    from synglancer.cli import make_link_main as run

    run()


def main() -> None:
    """Run ``synglancer``."""
    end_when_interrupted()
    from synglancer.cli import main as run

    run()
