"""Common ground of all tests.

Home Assistant's test plugin brings a `custom_components` package of its own. Whichever is
imported first stays, so ours is imported here, before any `hass` fixture exists.

Examples of properties are the same in each run, so that a change is not blamed for another's luck;
`HYPOTHESIS_PROFILE=default` looks for new ones.
"""

from importlib import import_module
import os

from hypothesis import settings

import_module("custom_components.salto_ks")

settings.register_profile("repeatable", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
