"""Check what the record of a clinic stands on, and list it: ``make audit`` writes docs/care/components.md.

What is installed agrees with what each part asks for; bandit finds nothing of middle weight or more; every
component has a licence that we may ship beside; vendored files are those that their notice names. Known
weaknesses are looked up by pip-audit where it is installed and its service can be reached; where not, that
is said and is no pass.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "care" / "components.md"
VENDOR = ROOT / "src" / "euthymia" / "web" / "static" / "vendor"
START = "euthymia[care]"
SHORT = 60
COPYLEFT = re.compile(r"\b(A?GPL|General Public|SSPL|BUSL|Commons Clause)", re.IGNORECASE)
LENIENT = re.compile(r"\bLGPL|Lesser", re.IGNORECASE)


def components() -> list[Distribution]:
    """Return every distribution that the service needs, by name, itself left out."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(START)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        extras = frozenset(asked.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        waiting += [one for one in map(Requirement, found[name].requires or ()) if _applies(one, extras)]
    found.pop("euthymia", None)
    return [found[name] for name in sorted(found)]


def _applies(asked: Requirement, extras: frozenset[str]) -> bool:
    if asked.marker is None:
        return True
    return any(asked.marker.evaluate({"extra": extra}) for extra in (*extras, ""))


def licence(one: Distribution) -> str:
    """Return the licence that a distribution names: expression, classifiers, or the start of its text."""
    told = one.metadata
    lines = told.get_all("Classifier", [])
    classified = [line.split(" :: ")[-1] for line in lines if line.startswith("License ::")]
    text = (told.get("License") or "").strip().splitlines()
    short = text[0] if text and len(text[0]) <= SHORT else ""
    rest = text[0][:SHORT] if text else "unknown"
    return told.get("License-Expression") or short or ", ".join(classified) or rest


def page() -> str:
    """Return the page that lists every component."""
    rows = [
        f"| {one.metadata['Name']} | {one.version} | {licence(one)} | {one.metadata.get('Summary', '')} |"
        for one in components()
    ]
    vendored = [f"| `{path}` | {value} |" for path, value in vendored_files()]
    return "\n".join(
        [
            "<!-- Written by tools/audit.py; do not edit. -->",
            "",
            "# Third-party components",
            "",
            "What the clinic's record is built on (for IEC 62304: software of unknown provenance), read",
            "off the metadata of what was installed and tested. None of it was made for clinics. Dose",
            "arithmetic, clocks, readiness and the state machines are our own.",
            "",
            f"Python {sys.version_info[0]}.{sys.version_info[1]} and the system's SQLite come on top.",
            "",
            "| Component | Version | Licence | In its own words |",
            "|---|---|---|---|",
            *rows,
            "",
            "## Files shipped unmodified",
            "",
            "Their notices stand beside them.",
            "",
            "| File | SHA-256 |",
            "|---|---|",
            *vendored,
            "",
        ]
    )


def vendored_files() -> list[tuple[str, str]]:
    """Return the vendored files with their digests."""
    files = sorted(path for path in VENDOR.rglob("*.js")) + sorted(path for path in VENDOR.rglob("*.css"))
    return [(str(path.relative_to(VENDOR)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]


def problems() -> list[str]:
    """Return what is wrong with the components."""
    found = [
        f"{one.metadata['Name']}: licence {licence(one)}"
        for one in components()
        if licence(one) == "unknown" or (COPYLEFT.search(licence(one)) and not LENIENT.search(licence(one)))
    ]
    notices = "".join(path.read_text(encoding="utf-8") for path in VENDOR.rglob("NOTICE*"))
    found += [f"{name}: not as its notice says" for name, value in vendored_files() if value not in notices]
    return found


def _run(says: str, *command: str) -> bool:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(f"{says}: {'ok' if done.returncode == 0 else 'NOT OK'}")
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-2000:])
    return done.returncode == 0


def main() -> int:
    """Run every check; return 1 if one fails."""
    results = [_run("installed packages agree (pip check)", sys.executable, "-m", "pip", "check")]
    if find_spec("bandit"):
        bandit = (sys.executable, "-m", "bandit", "-q", "-r", "src", "-ll")
        results.append(_run("bandit, middle weight and up", *bandit))
    else:
        print("bandit: NOT RUN, not installed (make lint brings it)")
    found = problems()
    print(f"licences and vendored files of {len(components())} components: {'; '.join(found) or 'ok'}")
    if find_spec("pip_audit"):
        audit = ("pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip")
        results.append(_run("known weaknesses (pip-audit)", sys.executable, "-m", *audit))
    else:
        print("known weaknesses: NOT LOOKED UP: pip-audit, which asks a service on the internet, is not here")
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0 if all(results) and not found else 1


if __name__ == "__main__":
    sys.exit(main())
