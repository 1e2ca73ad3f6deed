"""Tests of the Connect API client, all of them over real HTTP on the loopback interface."""
