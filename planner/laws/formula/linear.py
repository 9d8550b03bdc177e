"""Which letters of a formula enter linearly, all of them at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from planner.laws.formula.syntax import Binary, Call, Expression, Name, Negative, Number, children, names, parts

_Pairs = frozenset[frozenset[str]]
_NONE: _Pairs = frozenset()


def linear_letters(root: Expression, letters: Collection[str]) -> tuple[str, ...]:
    """Letters in which the formula is jointly affine, in order of appearance; no further letter could be added.

    Of two letters that are multiplied, the one that excludes fewer others is taken: A and B, not c, in c*(A*x + B*z).
    """
    products = _products(root, frozenset(letters))
    able = [name for name in names(root) if name in letters and frozenset((name,)) not in products]
    rivals = {name: {other for other in able if frozenset((name, other)) in products} for name in able}
    taken: list[str] = []
    for name in sorted(able, key=lambda name: len(rivals[name])):
        if not rivals[name] & set(taken):
            taken.append(name)
    return tuple(name for name in able if name in taken)


def only_exponents(root: Expression, letters: Collection[str]) -> frozenset[str]:
    """Letters that appear nowhere but in exponents of powers."""
    elsewhere: set[str] = set()
    waiting, inside = [root], set[str]()
    while waiting:
        expression = waiting.pop()
        if isinstance(expression, Name):
            elsewhere.add(expression.name)
        elif isinstance(expression, Binary) and expression.op == "^":
            waiting.append(expression.left)
            inside |= set(names(expression.right))
        else:
            waiting += children(expression)
    return frozenset(name for name in inside - elsewhere if name in letters)


def free_letters(root: Expression, letters: Collection[str]) -> frozenset[str]:
    """Letters of either sign: neither in what a logarithm or root is taken of or a power raises, but for exponentials there.

    A whole power of a sum leaves its letters free: (log(x) - m)^2; one of a product does not, where a sign changes nothing.
    """
    bound: set[str] = set()
    for part in parts(root):
        if isinstance(part, Call) and part.function != "exp":
            bound |= _outside_exponentials(part.argument)
        elif isinstance(part, Binary) and part.op == "^":
            whole = isinstance(part.right, Number) and part.right.value.is_integer()
            if not (whole and isinstance(part.left, Binary) and part.left.op in "+-"):
                bound |= _outside_exponentials(part.left)
    return frozenset(letters) - bound


def _outside_exponentials(root: Expression) -> set[str]:
    found, waiting = set[str](), [root]
    while waiting:
        expression = waiting.pop()
        if isinstance(expression, Name):
            found.add(expression.name)
        elif not (isinstance(expression, Call) and expression.function == "exp"):
            waiting += children(expression)
    return found


def raising_exponents(root: Expression, letters: Collection[str]) -> frozenset[str]:
    """Letters that raise a base without letters, as in lr^a: such a power may rise or fall, and the sign is not known."""
    return frozenset(
        part.right.name
        for part in parts(root)
        if isinstance(part, Binary)
        and part.op == "^"
        and isinstance(part.right, Name)
        and part.right.name in letters
        and not set(names(part.left)) & set(letters)
        and not _divides(root, part)
    )


def _divides(root: Expression, power: Expression) -> bool:
    """Whether the power is what something is divided by."""
    return any(isinstance(part, Binary) and part.op == "/" and part.right == power for part in parts(root))


def raised_variables(root: Expression, letters: Collection[str]) -> tuple[str, ...]:
    """Variables in what is raised to a power that has letters in it, as x in A/x^alpha, in order of appearance."""
    known = frozenset(letters)
    found = [
        name
        for part in parts(root)
        if isinstance(part, Binary) and part.op == "^" and _of(part.right, known)
        for name in names(part.left)
        if name not in known
    ]
    return tuple(dict.fromkeys(found))


def _products(expression: Expression, letters: frozenset[str]) -> _Pairs:
    """Pairs of letters (one letter: with itself) whose second derivative does not vanish."""
    if isinstance(expression, Name | Number):
        return _NONE
    below: _Pairs = frozenset().union(*(_products(child, letters) for child in children(expression)))
    if isinstance(expression, Negative):
        return below
    if isinstance(expression, Call):
        inside = _of(expression.argument, letters)
        return below | _pairs(inside, inside)
    left, right = _of(expression.left, letters), _of(expression.right, letters)
    if expression.op in "+-":
        return below
    if expression.op == "*":
        return below | _pairs(left, right)
    if expression.op == "/":
        return below | _pairs(left, right) | _pairs(right, right)
    return below | _pairs(left | right, left | right)


def _of(expression: Expression, letters: frozenset[str]) -> frozenset[str]:
    return letters.intersection(names(expression))


def _pairs(first: Iterable[str], then: Iterable[str]) -> _Pairs:
    others = tuple(then)
    return frozenset(frozenset((a, b)) for a in first for b in others)
