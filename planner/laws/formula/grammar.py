"""Formulas as text: a grammar of its own, and nothing of Python's.

    sum     = product (("+" | "-") product)*
    product = signed (("*" | "/") signed)*
    signed  = "-" signed | power
    power   = value [("^" | "**") ["-"...] value]
    value   = number | name | ("exp" | "log" | "sqrt") "(" sum ")" | "(" sum ")"

`log` is natural; `-a^b` is `-(a^b)`; `a^b^c` is refused, for readers differ on what it means.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple, NoReturn

from planner.errors import InputError
from planner.laws.formula.syntax import FUNCTIONS, Binary, Call, Expression, Name, Negative, Number, power_depth, size

LONGEST, MOST_NODES, DEEPEST, DEEPEST_POWER = 1000, 200, 50, 4
EXCERPT = 12  # characters shown from where a formula goes wrong

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark>\*\*|[-+*/^()]))"
)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str) -> Expression:
    """The expression that `text` writes; InputError says at which character it stops being a formula."""
    if len(text) > LONGEST:
        raise InputError(
            f"the formula has {len(text):,} characters, over the limit of {LONGEST:,}", "write a shorter formula"
        )
    root = _Parser(text).whole()
    if size(root) > MOST_NODES:
        raise InputError(
            f"the formula has {size(root)} names, numbers and operations, over the limit of {MOST_NODES}",
            "write a shorter formula",
        )
    if power_depth(root) > DEEPEST_POWER:
        raise InputError(
            f"the formula nests powers {power_depth(root)} deep, over the limit of {DEEPEST_POWER}",
            "flatten the powers",
        )
    return root


def _refuse(text: str, at: int, what: str, hint: str) -> NoReturn:
    excerpt = text[at : at + EXCERPT] + ("..." if len(text) > at + EXCERPT else "")
    near = f" near {excerpt!r}" if excerpt else " at its end"
    raise InputError(f"formula, position {at + 1}{near}: {what}", hint)


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            _refuse_character(text, at)
        kind = str(match.lastgroup)
        found.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    return [*found, _Token("end", "", len(text))]


def _refuse_character(text: str, at: int) -> NoReturn:
    character = text[at]
    if character == ".":
        _refuse(text, at, "a dot reads an attribute, and values have none", "use plain column names and letters")
    if character == ",":
        _refuse(text, at, "a comma; exp, log and sqrt take one value", "write log(x)/log(2) for another base")
    if character == "=":
        _refuse(text, at, "an equals sign", "write the right-hand side alone")
    _refuse(text, at, f"the character {character!r} is not part of a formula", "use names, numbers, + - * / ^ ( )")


class _Parser:
    """Recursive descent, one method per rule; the depth of nesting is bounded, so recursion is too."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.place, self.depth = text, _tokens(text), 0, 0

    @property
    def here(self) -> _Token:
        return self.tokens[self.place]

    def refuse(self, what: str, hint: str) -> NoReturn:
        _refuse(self.text, self.here.at, what, hint)

    def take(self) -> _Token:
        token = self.here
        self.place += 1
        return token

    def whole(self) -> Expression:
        if self.here.kind == "end":
            self.refuse("the formula is empty", "write one such as E + A/params^alpha")
        root = self.sum()
        if self.here.text == ")":
            self.refuse("this bracket was never opened", "remove it, or open one before")
        if self.here.kind != "end":
            self.refuse(f"an operator is missing before {self.here.text!r}", "write * for a product")
        return root

    def sum(self) -> Expression:
        left = self.product()
        while self.here.text in ("+", "-"):
            left = Binary(self.take().text, left, self.product())
        return left

    def product(self) -> Expression:
        left = self.signed()
        while self.here.text in ("*", "/"):
            left = Binary(self.take().text, left, self.signed())
        return left

    def signed(self) -> Expression:
        if self.here.text != "-":
            return self.power()
        self.deeper()
        self.take()
        inner = self.signed()
        self.depth -= 1
        return Negative(inner)

    def power(self) -> Expression:
        base = self.value()
        if self.here.text not in ("^", "**"):
            return base
        self.take()
        exponent = self.exponent()
        if self.here.text in ("^", "**"):
            self.refuse("a power of a power", "use brackets: (a^b)^c or a^(b^c)")
        return Binary("^", base, exponent)

    def exponent(self) -> Expression:
        if self.here.text != "-":
            return self.value()
        self.deeper()
        self.take()
        inner = self.exponent()
        self.depth -= 1
        return Negative(inner)

    def value(self) -> Expression:
        token = self.here
        if token.kind == "number":
            return self.number()
        if token.kind == "name":
            return self.name()
        if token.text == "(":
            return self.bracket()
        if token.kind == "end":
            self.refuse("a value is missing", "end with a number, a name or a closing bracket")
        self.refuse(f"a value is expected, not {token.text!r}", "write a number, a name or a bracket")

    def number(self) -> Expression:
        value = float(self.here.text)
        if not math.isfinite(value):
            self.refuse("this number is too large", "numbers go up to 1.8e308")
        self.take()
        return Number(value)

    def name(self) -> Expression:
        token = self.here
        called = self.tokens[self.place + 1].text == "("
        if token.text in FUNCTIONS:
            if not called:
                self.refuse(f"{token.text} needs a value in brackets", f"write {token.text}(x)")
            self.take()
            return Call(token.text, self.bracket())
        if called:
            self.refuse(
                f"{token.text!r} is called, but only exp, log (natural) and sqrt can be", "write * for a product"
            )
        return Name(self.take().text)

    def bracket(self) -> Expression:
        opened = self.here.at
        self.deeper()
        self.take()
        inner = self.sum()
        if self.here.kind == "end":
            _refuse(self.text, opened, "this bracket is never closed", "add the missing )")
        if self.here.text != ")":
            self.refuse(f"an operator is missing before {self.here.text!r}", "write * for a product")
        self.take()
        self.depth -= 1
        return inner

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            self.refuse(f"nested more than {DEEPEST} deep", "write a flatter formula")
