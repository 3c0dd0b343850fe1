"""What `make bench` runs: measurements, and the table in docs/benchmarks.md."""
