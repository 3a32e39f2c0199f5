"""Make what all tests share, and compile them, before several processes need it at once.

``python tests/prepare.py FOLDER`` replaces the folder, which the tests find in TESTS_SHARED.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from cave_sandbox.sample.build import ensure_sample
from docs.site import ensure_site


def main(folder: Path) -> int:
    """Generate the sample, build the documentation, and collect the tests; return an exit code."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ensure_sample(folder / "sample")
    ensure_site(folder / "site")
    return int(pytest.main(["--collect-only", "-qq", "--no-summary"]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
