"""Hold coverage to its floors: one for everything, a full one where a mistake opens a door.

Usage: ``python scripts/coverage_gate.py coverage.json`` (written by ``coverage json`` with branches).
Silent when every floor is held, so that a test run still ends with pytest's own lines.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
import json
from pathlib import Path
import sys
from typing import Any

TOTAL_FLOOR = 97.0
"""Per cent of lines and branches of the integration and the simulator together."""

FULLY_COVERED = (
    "custom_components/salto_ks/config_flow.py",
    "custom_components/salto_ks/*_flow.py",
    "custom_components/salto_ks/iq_steps.py",
    "custom_components/salto_ks/api/otp.py",
    "custom_components/salto_ks/domain/*.py",
)
"""Every line and branch of these runs in the tests; a pattern without a file is a failure too."""


def shortfalls(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each floor that the coverage report does not hold."""
    if not report["meta"]["branch_coverage"]:
        yield "the report has no branches: run coverage with branch = true"
        return
    total = float(report["totals"]["percent_covered"])
    if total < TOTAL_FLOOR:
        yield f"total: {total:.2f} % of lines and branches, {TOTAL_FLOOR:.0f} % wanted"
    files = {Path(name).as_posix(): file for name, file in report["files"].items()}
    for pattern in FULLY_COVERED:
        if not any(fnmatch(name, pattern) for name in files):
            yield f"{pattern}: no such file was measured"
    for name, file in sorted(files.items()):
        if not any(fnmatch(name, pattern) for pattern in FULLY_COVERED):
            continue
        if file["missing_lines"]:
            yield f"{name}: lines never run: {', '.join(map(str, file['missing_lines']))}"
        if file["missing_branches"]:
            ways = ", ".join(f"{start}->{end}" for start, end in file["missing_branches"])
            yield f"{name}: branches never taken: {ways}"


def main(path: str) -> int:
    """Print what falls short in the report at this path; return the exit code."""
    problems = list(shortfalls(json.loads(Path(path).read_text(encoding="utf-8"))))
    for problem in problems:
        print(f"coverage: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
