"""From a question to a plan: spec, studies, prescriptions, optimal design."""
