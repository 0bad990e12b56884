"""The outbox: a local queue in front of a store that is not in this process. See ``docs/durability.md``."""
