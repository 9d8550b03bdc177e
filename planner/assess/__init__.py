"""Is a plan any good: simulated worlds, rivals."""
