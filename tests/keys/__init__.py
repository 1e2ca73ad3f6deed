"""Tests of how keys are made, kept and taken back."""
