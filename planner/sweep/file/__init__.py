"""The sweep file's tables, each key with its type and its limits."""
