"""Credentials that are no fixed header: signatures over a request, tokens that expire and are renewed.

A key that is sent as it is belongs in the provider's head. Which provider uses which belongs in `config`.
"""
