"""Decisions, called with values and compared with values."""
