"""What a run costs: accelerators, throughput, energy, the final run."""
