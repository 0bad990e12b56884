"""Waiting for stores: from threads, from event loops, and from blocking code that runs on an event loop."""
