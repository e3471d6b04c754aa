"""Which target a request goes to, and what to do when it fails. Pure decisions: no await, no clock, no dice of its own."""
