"""Choosing runs from a pool of candidates: the candidates, what is believed of the law, which ones to do."""
