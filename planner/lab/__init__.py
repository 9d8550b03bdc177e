"""From a plan to losses: the simulated lab."""
