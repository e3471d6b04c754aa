"""The words every room shares: conversations and their answers, what models take, losses, errors, usage, the wire.

Law of this room: types and the arithmetic on them, nothing else. It imports nothing of ours, knows no provider, no JSON
key and no socket. A word that only one room uses belongs in that room.
"""
