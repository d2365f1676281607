"""What `benchmarks/run` measures, and how it tells."""
