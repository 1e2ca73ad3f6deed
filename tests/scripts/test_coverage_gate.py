"""The coverage gate lets nothing through below its floors."""

from collections.abc import Mapping
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from scripts import coverage_gate

FULL: dict[str, Any] = {"missing_lines": [], "missing_branches": []}
GUARDED = (
    "custom_components/salto_ks/config_flow.py",
    "custom_components/salto_ks/iq_flow.py",
    "custom_components/salto_ks/iq_steps.py",
    "custom_components/salto_ks/api/otp.py",
    "custom_components/salto_ks/domain/plan.py",
)


def report(total: float = 99.0, files: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Return a report in which every guarded file is fully covered, but for the named ones."""
    return {
        "meta": {"branch_coverage": True},
        "totals": {"percent_covered": total},
        "files": dict.fromkeys(GUARDED, FULL) | {**files},
    }


def test_full_report_passes_silently(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed when every floor is held: pytest's lines stay the last ones."""
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps(report()), encoding="utf-8")
    assert coverage_gate.main(str(path)) == 0
    assert capsys.readouterr() == ("", "")


def test_total_below_the_floor_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A total below the floor ends with an error that names both figures."""
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps(report(96.99)), encoding="utf-8")
    assert coverage_gate.main(str(path)) == 1
    assert "96.99 %" in capsys.readouterr().err


@pytest.mark.parametrize("name", GUARDED)
def test_a_guarded_file_needs_every_line_and_branch(name: str) -> None:
    """One missed line or branch in a guarded file is named, whatever the total."""
    gap = {"missing_lines": [7], "missing_branches": [[9, -1]]}
    assert list(coverage_gate.shortfalls(report(files={name: gap}))) == [
        f"{name}: lines never run: 7",
        f"{name}: branches never taken: 9->-1",
    ]


def test_other_files_may_have_gaps() -> None:
    """A gap elsewhere is the total's business."""
    gap = {"missing_lines": [7], "missing_branches": []}
    assert not list(coverage_gate.shortfalls(report(files={"simulator/server.py": gap})))


def test_a_guarded_file_that_is_gone_is_missed() -> None:
    """Renaming a guarded file cannot lift the guard unnoticed."""
    told = report()
    del told["files"]["custom_components/salto_ks/api/otp.py"]
    assert list(coverage_gate.shortfalls(told)) == [
        "custom_components/salto_ks/api/otp.py: no such file was measured"
    ]


def test_report_without_branches_is_refused() -> None:
    """Lines alone are not enough to judge."""
    told = report() | {"meta": {"branch_coverage": False}}
    assert list(coverage_gate.shortfalls(told)) == [
        "the report has no branches: run coverage with branch = true"
    ]
