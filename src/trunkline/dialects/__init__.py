"""How clients and providers speak: bytes to words and back, sans-io.

Law of this room: `feed(bytes) -> …`, nothing awaited, no clock, no dice, no file. A line that names a provider's JSON key
belongs here. Hosts and credentials do not.
"""
