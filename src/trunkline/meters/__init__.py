"""Counters of limits and budgets: what is reserved before a request and settled after it.

Who has which limit, and what a refusal says, belongs in `policy`; what things cost in `ledger`.
"""
