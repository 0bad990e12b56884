"""``crewai-memory eval``: how well the memories of one scope are recalled, on questions of the user's own."""
