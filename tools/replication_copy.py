"""Copy the stored replication of published trials into the package, compactly, for the page on trials.

After ``docs/reference/replication.json`` has changed: python tools/replication_copy.py
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
STORED = ROOT / "docs" / "reference" / "replication.json"
COPY = ROOT / "src" / "euthymia" / "data" / "replication.json"
COLUMNS = (
    "trial",
    "row_id",
    "label",
    "measure",
    "unit",
    "is_primary",
    "simulated",
    "low",
    "high",
    "replicates",
    "observed",
    "observed_low",
    "observed_high",
    "verdict",
    "reason",
)
LEFT_OUT = ("schema", "command", "rows")
SIGNIFICANT = 6


def main() -> int:
    """Write the copy: one line a row, numbers to six figures, with the digest of what it is a copy of."""
    text = STORED.read_bytes()
    document = json.loads(text)
    head = {name: value for name, value in document.items() if name not in LEFT_OUT}
    told = {
        "schema": "euthymia.replication-copy/1",
        "copied_sha256": sha256(text).hexdigest(),
        "posterior": "",
        "posterior_digest": "",
        **head,
        "columns": COLUMNS,
    }
    rows = ",\n".join(
        json.dumps([_short(row[name]) for name in COLUMNS], ensure_ascii=False, separators=(",", ":"))
        for row in document["rows"]
    )
    start = json.dumps(told, ensure_ascii=False, indent=0)[:-2]
    COPY.write_text(f'{start},\n"rows": [\n{rows}\n]\n}}\n', encoding="utf-8")
    print(f"{COPY.relative_to(ROOT)}: {len(document['rows'])} rows, {COPY.stat().st_size // 1024} KiB")
    return 0


def _short(value: object) -> object:
    return float(f"{value:.{SIGNIFICANT}g}") if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
