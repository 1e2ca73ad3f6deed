"""A real Home Assistant on real files, and its sudden ends: run by ``scripts/process-test``."""
