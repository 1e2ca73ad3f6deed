"""Which things of a listing are still there, when one listing may be wrong."""

from collections.abc import Collection, Mapping
from typing import Final

ABSENCES_UNTIL_GONE: Final = 2
"""Good listings in a row without a thing before it counts as gone: pages can shift while read."""

ABSENCES_OF_MANY: Final = 60
"""The same when more than half of what was known is missing at once: at the usual polling
interval an hour and more, since an empty answer is likelier than a site without doors."""

_MANY: Final = 4


def absences[K](before: Mapping[K, int], present: Collection[K]) -> dict[K, int]:
    """Count for each known thing how many listings in a row it has been missing from.

    Things that have been missing too often are not in the result.
    """
    missing = {key: count + 1 for key, count in before.items() if key not in present}
    many = len(missing) >= _MANY and len(missing) * 2 > len(before)
    limit = ABSENCES_OF_MANY if many else ABSENCES_UNTIL_GONE
    kept = {key: count for key, count in missing.items() if count < limit}
    return dict.fromkeys(present, 0) | kept
