"""What a run trains: architecture, parameters, FLOPs, shape for a size."""
