"""Salto KS for Home Assistant."""
