"""Copy the recorded exchanges that the wire tests replay into ``tests/data/wire``.

    python tests/wire/select_exchanges.py FOLDER

``FOLDER`` holds the whole recording: ``exchanges.jsonl`` and ``bodies/``. Left out are repeats
(same request, same answer) and what `LEFT_OUT` names, each with its reason; the bodies that the
kept ones name are copied as they are.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "data" / "wire"

#: Beginning of an exchange's ID -> why it is not replayed.
LEFT_OUT = {
    "pre/019": "CAVE's live annotation source is not part of the sandbox",
    "pre/020": "the same (its one 404 page is kept)",
    "pre/021": "the same, and repeats of what other suites have",
    "qlimit/0014": "the live annotation source again",
    "browser/0287": "the live annotation source again",
    "browser/0288": "the live annotation source again",
    "info/0296": "ngl_info: nothing that makes or opens a link asks for it",
    "wire/0016": "recorded before the expired version was added; wire/0258 asks the same",
}
KEPT_ALL_THE_SAME = ("pre/0209",)

#: Request headers that may change an answer.
TELLING = ("Accept-Encoding", "Authorization", "Cookie", "Origin", "X-Requested-With")


def is_left_out(exchange: dict[str, Any]) -> bool:
    """Whether an exchange is not replayed."""
    if exchange["id"].startswith(KEPT_ALL_THE_SAME):
        return False
    return exchange["id"].startswith(tuple(LEFT_OUT))


def request_key(exchange: dict[str, Any]) -> str:
    """Return the parts of an exchange that are equal in repeats."""
    headers = exchange["request_headers"]
    told = {name: headers.get(name) for name in TELLING}
    if told["Authorization"] is not None:
        told["Cookie"] = None
    # Suites with another server setting are never repeats of other suites.
    suite = exchange["id"].split("/")[0]
    setting = suite if suite in {"qlimit", "ratelimit", "live"} else ""
    asked = [exchange.get("request_json"), exchange.get("request_text")]
    return json.dumps([setting, exchange["method"], exchange["path"], told, asked])


def main(source: Path) -> None:
    """Write the selection."""
    shutil.rmtree(TARGET, ignore_errors=True)
    (TARGET / "bodies").mkdir(parents=True)
    seen: set[str] = set()
    lines = []
    for line in (source / "exchanges.jsonl").read_text("utf-8").splitlines():
        exchange = json.loads(line)
        key = request_key(exchange)
        # The third query in a minute is the first one refused, so these are no repeats.
        repeated = key in seen and not exchange["id"].startswith("ratelimit")
        if repeated or is_left_out(exchange):
            continue
        seen.add(key)
        lines.append(line)
        if "response_file" in exchange:
            name = exchange["response_file"]
            shutil.copyfile(source / name, TARGET / name)
    (TARGET / "exchanges.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
