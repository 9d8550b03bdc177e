"""One file per kind of study: what it asks for, within its budget."""
