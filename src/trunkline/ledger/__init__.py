"""The accounts: what a request was, what it used, what it cost; journalled before it is stored.

Nothing here knows SQL (that is `store`) or a provider's JSON (that is `dialects`).
"""
