"""Backups of a store, and what is whole in it: for its operator. See :mod:`..admin`."""
