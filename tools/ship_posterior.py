"""Put a fitted posterior and its points where they ship: ``python tools/ship_posterior.py FOLDER``.

It neither freezes the posterior nor opens what was kept for validation: that is a commit of its own, which
writes the digest into ``data/evidence/posterior.toml``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from euthymia.files.fit_folder import archive_points
from euthymia.population.posterior import read_posterior

DATA = Path(__file__).parents[1] / "src" / "euthymia" / "data" / "calibration"


def main(folder: Path) -> None:
    text = (folder / "posterior.json").read_text(encoding="utf-8")
    found = read_posterior(text, str(folder))
    place = DATA / "posteriors" / f"{found.name}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    compact = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    place.write_text(
        compact.replace('"draws":', '\n"draws":').replace("]],[[", "]],\n[[") + "\n", encoding="utf-8"
    )
    points = DATA / "points" / f"{found.name}.zip"
    archive_points(folder, points)
    print(f"{place.name}: {found.digest}")
    print(f"{points.name}: {points.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
