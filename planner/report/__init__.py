"""All of it as pages: ledger, figures, templates."""
