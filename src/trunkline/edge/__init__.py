"""Sockets: HTTP/1.1 in from clients, HTTP/1.1 out to providers. Nothing here knows a model, a key or a price."""
