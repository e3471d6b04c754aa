"""The contracts that clients rely on, asked of a configured model through a real gateway.

What a contract asks and judges is here; printing belongs in `cli.doctor`, translating in `dialects`.
"""
