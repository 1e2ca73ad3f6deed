"""The demo as a person sees it: run by ``scripts/browser-test``."""
