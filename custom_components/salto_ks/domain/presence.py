"""Which things of a listing are still there, when one listing may be wrong."""

from collections.abc import Collection, Mapping
from typing import Final

ABSENCES_UNTIL_GONE: Final = 2
"""Good listings in a row without a thing before it counts as gone: pages can shift while read."""


def absences[K](before: Mapping[K, int], present: Collection[K]) -> dict[K, int]:
    """Count for each known thing how many listings in a row it has been missing from.

    Things that have been missing too often are not in the result.
    """
    missing = {key: count + 1 for key, count in before.items() if key not in present}
    kept = {key: count for key, count in missing.items() if count < ABSENCES_UNTIL_GONE}
    return dict.fromkeys(present, 0) | kept
