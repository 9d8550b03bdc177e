"""From losses to a law: objective, solve, intervals, backtest, checks."""
