"""Decisions as pure functions of values and `now`; standard library only."""
