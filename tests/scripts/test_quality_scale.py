"""Home Assistant's quality scale: each rule is met, or it is said why it does not apply."""

from functools import cache
from pathlib import Path
from typing import Any

import homeassistant
from homeassistant.util.yaml import load_yaml_dict
import pytest

TOP = Path(__file__).parents[2]
CORE = Path(homeassistant.__file__).parent / "components"
STATUSES = {"done", "exempt", "todo"}


def rules_in(path: Path) -> dict[str, Any]:
    """Return the rules of a file."""
    rules: dict[str, Any] = load_yaml_dict(str(path))["rules"]
    return rules


@cache
def known() -> frozenset[str]:
    """Return the rules that there are, as Home Assistant's own integrations name them."""
    return frozenset(rule for path in CORE.glob("*/quality_scale.yaml") for rule in rules_in(path))


OURS = rules_in(TOP / "custom_components" / "salto_ks" / "quality_scale.yaml")


def test_every_rule_is_answered_and_none_is_made_up() -> None:
    """The file has exactly the rules that there are."""
    assert set(OURS) == known()


@pytest.mark.parametrize("rule", OURS)
def test_a_rule_has_a_status_and_an_exemption_a_reason(rule: str) -> None:
    """Nothing is exempt without a word, and nothing is said that is no status."""
    answer = OURS[rule] if isinstance(OURS[rule], dict) else {"status": OURS[rule]}
    assert set(answer) <= {"status", "comment"}
    assert answer["status"] in STATUSES
    assert answer["status"] == "done" or answer["comment"].strip()
