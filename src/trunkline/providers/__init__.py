"""Who can be called: where, with whose credential, in which dialect. Rows of data until behaviour is needed.

What a model can or costs is data too and lives beside. How a provider's JSON looks belongs in `dialects`.
"""
