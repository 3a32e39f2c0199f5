"""Examples at the end of the help, for each command."""

from __future__ import annotations

_CELL = "864691135276234469"

EXAMPLES = {
    "make-link": (
        f"make-link {_CELL}",
        f"make-link {_CELL} --inputs --tag spine --min-confidence 0.9",
        "make-link cells.txt --output json",
    ),
    "report": (
        "synglancer report cells.csv -o report.html",
        "synglancer report cells.csv --group-by cell_type -o report.md",
        f"synglancer report {_CELL} --sandbox -o report.csv",
    ),
    "check": (
        "synglancer check paper.md report.html",
        "synglancer check docs/ --output json",
        "synglancer check paper.md --fix",
    ),
    "compare": (
        f"synglancer compare {_CELL} --from 1718 --to latest",
        "synglancer compare 'https://…/#!…' --to latest --output markdown",
        "synglancer compare 'https://…/#!…' 'https://…/#!…'",
    ),
    "preview": (
        "synglancer preview 'https://…/#!…' -o pictures",
        f"make-link {_CELL} | synglancer preview - -o pictures",
        "synglancer preview state.json --renderer plot --format svg",
    ),
    "table": (
        "synglancer table 'https://…/#!…' -o annotations.csv",
        "synglancer table state.json -o annotations.xlsx",
        "synglancer table 'https://…/#!…' | head",
    ),
    "verdicts": (
        "synglancer verdicts 'https://…/#!…' -o verdicts.csv",
        "synglancer verdicts 'https://…/#!…' 'https://…/#!…' -o verdicts.xlsx",
        "synglancer verdicts 'https://…/#!…' --calibration bins.csv --plot bins.png",
    ),
    "history": (
        "synglancer history --limit 5",
        f"synglancer history {_CELL}",
        "synglancer history --output json",
    ),
    "serve": (
        "synglancer serve published",
        "synglancer serve published --port 9000",
        "synglancer publish verify published",
    ),
    "publish": (
        "synglancer publish table.parquet -o published --datastack minnie65_public --version 1718",
        "synglancer publish cave -o published --datastack minnie65_public --version 1718",
        "synglancer publish table.parquet -o s3://bucket/published --version 1718 --resume",
    ),
    "publish verify": (
        "synglancer publish verify published",
        "synglancer publish verify published --input table.parquet --cells 100",
        "synglancer publish verify https://example.org/published --output json",
    ),
    "doctor": (
        "synglancer doctor",
        "synglancer doctor --sandbox --write",
        "synglancer doctor --server https://cave.example.org --output json",
    ),
    "sandbox": (
        "synglancer sandbox start",
        "synglancer sandbox serve --port 9100",
        "synglancer sandbox serve --data my-data --fault 'POST */query=503*2'",
    ),
    "cache": (
        "synglancer cache info",
        "synglancer cache clear",
        f"make-link {_CELL} --no-cache",
    ),
    "templates": (
        "synglancer templates list",
        "synglancer templates show card.html",
        "synglancer templates copy report.html -o mine.html.j2",
    ),
    "trust": (
        "synglancer trust",
        "synglancer trust synglancer.toml",
        "synglancer trust ../synglancer.toml",
    ),
}
"""Commands to type, three for each."""


def format_examples(command: str) -> str:
    """Write the examples of a command as the end of its help."""
    return "\n".join(["Examples:", *(f"  {line}" for line in EXAMPLES[command])])
