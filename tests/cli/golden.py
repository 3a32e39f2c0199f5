"""The canonical state of the sample cell in a form that people can read and git can compare.

``python tests/cli/golden.py`` writes it anew.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "sample-cell.json"
_FIRST_ROWS = 2


def summarise(state: dict[str, Any], origin: str) -> str:
    """Write a state with what varies between runs taken out, and its annotations shortened.

    Each layer's annotations become their number, the SHA-256 of their canonical JSON, and the first
    of them. The sandbox's address and the package's version are replaced by their names.
    """
    text = json.dumps(state).replace(origin, "http://sandbox")
    plain = json.loads(text.replace(state["synglancer"]["generator"], "synglancer"))
    for layer in plain["layers"]:
        if "annotations" in layer:
            notes = layer["annotations"]
            canonical = json.dumps(notes, sort_keys=True, separators=(",", ":"))
            layer["annotations"] = {
                "count": len(notes),
                "sha256": hashlib.sha256(canonical.encode()).hexdigest(),
                "first": [json.dumps(note, sort_keys=True) for note in notes[:_FIRST_ROWS]],
            }
        if "shader" in layer:
            layer["shader"] = layer["shader"].splitlines()
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the golden state of the sample cell."""
    from cave_sandbox.sample.build import ensure_sample
    from cave_sandbox.server import Sandbox, SandboxOptions
    from synglancer import make_link

    with tempfile.TemporaryDirectory() as folder:
        data = ensure_sample(Path(folder) / "sample")
        options = SandboxOptions(data=data, states=Path(folder) / "states", token="golden")
        token = Path(folder) / "token"
        token.write_text("golden")
        with Sandbox(options) as sandbox:
            made = make_link(
                864691135276234469,
                server=sandbox.origin,
                token_file=str(token),
                no_cache=True,
            )
            GOLDEN.parent.mkdir(parents=True, exist_ok=True)
            GOLDEN.write_text(summarise(made.state, sandbox.origin), encoding="utf-8")


if __name__ == "__main__":
    main()
