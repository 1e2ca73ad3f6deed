"""What the figures were measured on: the kind of machine, never which one."""

from importlib.metadata import version
import os
from pathlib import Path
import platform
import re


def describe() -> str:
    """Return one line about processor and versions."""
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()}; "
        f"Python {platform.python_version()}, Home Assistant {version('homeassistant')}, "
        f"aiohttp {version('aiohttp')}"
    )


def load() -> str:
    """Return how many processes wanted to run in the last minute, other people's included."""
    return f"{os.getloadavg()[0]:.1f}"


def _processor() -> str:
    """Return the kind of processor, as far as the system tells."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        told = ""
    found = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()
