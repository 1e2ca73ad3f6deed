"""Tests of the integration and of the servers it is tested against."""
