"""Names that a page, a table, a terminal or a shell could mistake for something else."""

NASTY = (
    "<script>alert(1)</script>",
    "$x^2$ & \"q\" 'q'",
    "=1+1",
    "[bold]x[/bold]",
    "a|b `c` *d*",
    "ü " * 20,
    "$(touch pwned); \\",
)
