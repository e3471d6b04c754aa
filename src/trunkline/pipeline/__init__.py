"""One request's life, top to bottom. Decisions belong in routing and policy, bytes in dialects, sockets in edge."""
