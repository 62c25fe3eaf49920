"""Methods tried on benchmarks, in parallel, measured, and kept by content."""
