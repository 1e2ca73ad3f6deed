"""Measure what the integration costs, against the simulator, beside a bare client.

`scripts/benchmark` runs it; `docs/benchmarks.md` says what is measured and holds the results.
"""
