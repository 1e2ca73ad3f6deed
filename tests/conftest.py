"""Common ground of all tests.

Home Assistant's test plugin brings a `custom_components` package of its own. Whichever is
imported first stays, so ours is imported here, before any `hass` fixture exists.
"""

from importlib import import_module

import_module("custom_components.salto_ks")
