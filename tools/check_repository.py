"""Fail when a file names a package registry or an absolute path of somebody's machine.

Such a file works for its author only: registries and paths belong in each machine's own settings.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FORBIDDEN = {
    "package registry": re.compile(
        r"pypi\.(org|python\.org)|pythonhosted\.org|registry\.npmjs\.org|registry\.yarnpkg\.com"
        r"|conda\.anaconda\.org|[\w-]+\.jfrog\.io|--(extra-)?index-url[ =]\S|--trusted-host[ =]\S",
        re.IGNORECASE,
    ),
    "absolute path": re.compile(r"(?<![\w./:~$}-])/(home|root|Users|work)/[\w.]|\b[A-Z]:\\Users\\", re.ASCII),
}


def repository_files() -> list[Path]:
    """Return the files that git tracks or would offer to track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return [path for path in map(Path, names) if path.is_file() and path.name]


def problems(path: Path) -> list[str]:
    """Return one line for each forbidden thing in a text file; binary files have none."""
    content = path.read_bytes()
    if b"\0" in content:
        return []
    lines = content.decode("utf-8", errors="replace").splitlines()
    return [
        f"{path}:{number}: {kind}: {match.group()}"
        for number, line in enumerate(lines, start=1)
        for kind, pattern in FORBIDDEN.items()
        if (match := pattern.search(line))
    ]


def main() -> int:
    """Print what was found; return 1 if anything was."""
    try:
        files = repository_files()
    except (OSError, subprocess.CalledProcessError):
        print("Not a git checkout: registry names and paths are not checked.")
        return 0
    found = [problem for path in files for problem in problems(path)]
    print("\n".join(found) or f"{len(files)} files name no registry and no machine's path.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
